"""Settings come from the environment and are refused when they contradict each other."""

from pathlib import Path

import pytest

from services.app.settings import AppSettings
from services.common.settings import read_settings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("redis-password", "app-client-secret"):
        (tmp_path / name).write_text(f"the {name}")
    for name, value in {
        "SECRETS_DIR": str(tmp_path),
        "PORT": "8101",
        "REPLICA": "app-1",
        "AUTH_ISSUER": "http://localhost:8080/auth",
        "AUTH_URL": "http://127.0.0.1:8090",
        "REDIS_URL": "redis://127.0.0.1:8070/0",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_cookies_are_secure_unless_the_deployment_says_otherwise(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings(AppSettings)
    assert settings.secure_cookies
    assert (settings.session_idle_seconds, settings.session_absolute_seconds) == (1800, 43200)
    environment.setenv("SECURE_COOKIES", "false")
    assert not read_settings(AppSettings).secure_cookies


def test_auth_may_have_several_processes(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUTH_URL", "http://127.0.0.1:8091,http://127.0.0.1:8092")
    assert [url.port for url in read_settings(AppSettings).auth_urls] == [8091, 8092]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_URL", "nowhere"),
        ("AUTH_URL", ""),
        ("AUTH_URL", "http://a,"),
        ("SESSION_IDLE_SECONDS", "0"),
        ("SESSION_IDLE_SECONDS", "99999"),
    ],
)
def test_nonsense_stops_the_start(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(SystemExit, match="setting"):
        read_settings(AppSettings)
