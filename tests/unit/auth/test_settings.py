"""The service does not start with a missing, weak or invented secret."""

from pathlib import Path

import pytest

from services.app.settings import AppSettings
from services.auth.settings import AuthSettings
from services.common.settings import CommonSettings, ConfigurationError, read_settings

SECRETS = {
    "admin-password": "the administrator's password",
    "app-client-secret": "app",
    "key-encryption-secret": "0123456789abcdef0123456789abcdef",
    "redis-password": "redis",
    "postgres-password": "p@ss:w/ord",
}
ENVIRONMENT = {
    "PORT": "0",
    "REPLICA": "auth-1",
    "AUTH_ISSUER": "http://127.0.0.1:8080/auth",
    "REDIS_URL": "redis://127.0.0.1/0",
    "AUTH_DATABASE_URL": "sqlite+aiosqlite:///auth.sqlite",
}


@pytest.fixture
def secrets_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All secrets and an environment that work."""
    for name, value in (ENVIRONMENT | {"SECRETS_DIR": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
    return tmp_path


def refusal(kind: type[CommonSettings] = AuthSettings) -> str:
    with pytest.raises(ConfigurationError) as stopped:
        read_settings(kind)
    return str(stopped.value)


def test_the_lifetimes_have_sound_defaults(secrets_dir: Path) -> None:
    settings = read_settings(AuthSettings)
    assert (settings.access_token_seconds, settings.refresh_grace_seconds) == (300, 10)


def test_the_environment_decides_the_size_of_rsa_keys(secrets_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_RSA_BITS", "2048")
    assert read_settings(AuthSettings).rsa_bits == 2048
    for wrong in ("1024", "many"):
        monkeypatch.setenv("AUTH_RSA_BITS", wrong)
        assert "AUTH_RSA_BITS" in refusal()


@pytest.mark.parametrize("name", ["admin-password", "app-client-secret", "key-encryption-secret", "redis-password"])
def test_no_secret_has_a_default(name: str, secrets_dir: Path) -> None:
    (secrets_dir / name).unlink()
    assert f"setting {name}: Field required" in refusal()


@pytest.mark.parametrize(
    ("name", "weak"),
    [
        ("admin-password", "short"),
        ("admin-password", "with a bell\x07"),
        ("key-encryption-secret", "f00 bar baz"),
        ("admin-password", ""),
    ],
)
def test_a_weak_secret_is_refused_and_not_shown(name: str, weak: str, secrets_dir: Path) -> None:
    (secrets_dir / name).write_text(weak)
    line = refusal()
    assert f"setting {name}: " in line
    assert not weak or weak not in line


@pytest.mark.parametrize("url", ["mysql://auth@host/auth", "sqlite:///auth.sqlite", "no url"])
def test_an_unknown_kind_of_database_is_refused(url: str, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_DATABASE_URL", url)
    assert "AUTH_DATABASE_URL" in refusal()


def test_postgresql_gets_its_password_from_the_secret(secrets_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_DATABASE_URL", "postgresql+asyncpg://authscale@postgres/authscale")
    settings = read_settings(AuthSettings)
    assert settings.database.password == SECRETS["postgres-password"]
    assert SECRETS["postgres-password"] not in repr(settings)


def test_postgresql_without_its_secret_is_refused(secrets_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_DATABASE_URL", "postgresql+asyncpg://authscale@postgres/authscale")
    (secrets_dir / "postgres-password").unlink()
    assert "the secret postgres-password is missing" in refusal()


def test_sqlite_needs_no_password(secrets_dir: Path) -> None:
    (secrets_dir / "postgres-password").unlink()
    assert read_settings(AuthSettings).database.password is None


def test_the_algorithm_defaults_to_eddsa(secrets_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(AuthSettings).algorithm == "EdDSA"
    monkeypatch.setenv("AUTH_ALGORITHM", "none")
    assert "setting AUTH_ALGORITHM: Input should be 'EdDSA', 'ES256', 'RS256' or 'HS256'" in refusal()


@pytest.mark.parametrize("secret", [None, "", "s" * 31])
def test_j13_a_weak_shared_secret_stops_the_start(
    secret: str | None, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if secret is not None:
        (secrets_dir / "token-signing-secret").write_text(secret)
    read_settings(AuthSettings)  # nobody uses it
    monkeypatch.setenv("AUTH_ALGORITHM", "HS256")
    (secrets_dir / "cookie-keys").write_text("A" * 43 + "=")
    for kind in (AuthSettings, AppSettings):
        monkeypatch.setenv("AUTH_URL", "http://127.0.0.1:8091")
        line = refusal(kind).splitlines()[-1]
        assert line.endswith(f"token-signing-secret has {8 * len(secret or '')} bits: HS256 needs 256")
    (secrets_dir / "token-signing-secret").write_text("s" * 32)
    assert read_settings(AuthSettings).algorithm == "HS256"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEY_PUBLISH_SECONDS", "94"),
        ("JWKS_MAX_AGE_SECONDS", "86"),
        ("KEY_POLL_SECONDS", "11"),
        ("JWKS_REFRESH_SECONDS", "46"),
    ],
)
def test_j17_times_with_which_rotations_would_fail_are_refused(
    name: str, value: str, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_settings(AuthSettings)
    monkeypatch.setenv(name, value)
    assert name in refusal()
