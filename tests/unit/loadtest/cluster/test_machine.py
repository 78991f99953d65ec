"""What a run records about the machine and the code."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.cluster.machine import git_revision, host_facts
from loadtest.cluster.topology import OPTIONAL, REPOSITORY, SETTINGS, Topology
from services.app.settings import AppSettings
from services.auth.settings import AuthSettings

ENGINE = {
    "HOST", "PORT", "REPLICA", "AUTH_ISSUER", "AUTH_URL", "AUTH_DATABASE_URL", "REDIS_URL", "SECURE_COOKIES",
}  # fmt: skip
"""What each cluster decides for itself."""


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", directory, *identity, *arguments], check=True, capture_output=True)


def test_the_revision_says_whether_files_were_changed(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "first")
    clean = git_revision(tmp_path)
    assert len(clean) == 40
    (tmp_path / "results.json").write_text("a report is no change")
    assert git_revision(tmp_path) == clean
    (tmp_path / "code.py").write_text("2")
    assert git_revision(tmp_path) == f"{clean}+changes"


def test_without_a_repository_the_revision_is_unknown(tmp_path: Path) -> None:
    assert git_revision(tmp_path) == "unknown"


@pytest.mark.parametrize(
    ("arguments", "flags", "said"),
    [
        ("'--enable-optimizations' '--with-lto'", "-O2 -Wall -O3", ["PGO", "LTO", "-O3"]),
        ("'--prefix=/usr'", "-Og", ["no PGO", "no LTO", "-Og"]),
        ("'--enable-optimizations' '--with-lto=no'", "", ["PGO", "no LTO", "unknown optimisation"]),
        (None, None, ["no PGO", "no LTO"]),
    ],
)
def test_the_build_of_python_is_recorded(
    monkeypatch: pytest.MonkeyPatch, arguments: str | None, flags: str | None, said: list[str]
) -> None:
    values = {"CONFIG_ARGS": arguments, "OPT": flags}
    monkeypatch.setattr("sysconfig.get_config_var", values.get)
    assert set(said) <= set(host_facts()["python_build"].split(", "))


def _aliases() -> Iterator[str]:
    for kind in (AppSettings, AuthSettings):
        for field in kind.model_fields.values():
            if isinstance(field.validation_alias, str) and field.validation_alias.isupper():
                yield field.validation_alias


def test_every_setting_of_the_services_is_recorded() -> None:
    """Results contain the settings in force: a missing one would be a hidden condition."""
    assert set(_aliases()) == ENGINE | set(SETTINGS) | set(OPTIONAL)


def test_the_algorithm_of_tokens_is_among_the_settings() -> None:
    assert Topology.from_environment().environment()["AUTH_ALGORITHM"] == "EdDSA"


def test_whatever_else_stands_in_env_is_a_setting_of_a_strategy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text((REPOSITORY / ".env").read_text() + "ITS_OWN_SETTING=7\nANOTHER=8\n")
    monkeypatch.setattr("loadtest.cluster.topology.REPOSITORY", tmp_path)
    monkeypatch.setenv("ANOTHER", "9")
    environment = Topology.from_environment().environment()
    assert (environment["ITS_OWN_SETTING"], environment["ANOTHER"]) == ("7", "9")
    assert environment["NEAR_CACHE_USERS"] == "10000"
    assert "LOCUST_PORT" not in environment
