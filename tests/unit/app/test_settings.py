"""Settings come from the environment and are refused when they contradict each other."""

from pathlib import Path

import pytest

from services.app.settings import AppSettings
from services.app.strategies.cookie import CookieSettings
from services.app.strategies.jwt_cached import TokenCacheSettings
from services.app.strategies.jwt_denylist import DenylistSettings
from services.app.strategies.memory import MemorySettings
from services.app.strategies.redis_cached import NearCacheSettings
from services.common.settings import ConfigurationError, Settings, read_settings

KEY = "A" * 43 + "="


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("redis-password", "app-client-secret"):
        (tmp_path / name).write_text(f"the {name}")
    (tmp_path / "cookie-keys").write_text(KEY)
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


def test_cookies_are_secure_by_default(environment: pytest.MonkeyPatch) -> None:
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
        ("SESSION_LIMIT", "0"),
        ("SESSION_LIMIT_POLICY", "none"),
        ("REDIS_URL", "rediss://127.0.0.1:8070/0"),
    ],
)
def test_invalid_settings_stop_the_start(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        read_settings(AppSettings)


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [("", 1), ("short", 1), (f"{KEY},", 2), (f"{KEY},{KEY[:-2]}", 2), (f"{KEY},{KEY[:-2]}B=", 2), (f"{KEY};{KEY}", 1)],
)
def test_an_invalid_cookie_key_stops_the_start_and_is_not_shown(
    environment: pytest.MonkeyPatch, tmp_path: Path, keys: str, wrong: int
) -> None:
    (tmp_path / "cookie-keys").write_text(keys)
    with pytest.raises(ConfigurationError, match=f"setting cookie-keys: .*key {wrong} is not 32 bytes") as refusal:
        read_settings(CookieSettings)
    assert KEY not in str(refusal.value)


def test_missing_cookie_keys_stop_the_start(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cookie-keys").unlink()
    with pytest.raises(ConfigurationError, match="setting cookie-keys"):
        read_settings(CookieSettings)


def test_cookie_keys_may_have_spaces_and_a_line_end_around_them(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cookie-keys").write_text(f"{KEY}, {KEY[:-1]}\n")
    assert read_settings(CookieSettings).decoded() == [bytes(32), bytes(32)]


@pytest.mark.parametrize(
    ("own", "name", "wrong"),
    [
        (MemorySettings, "MEMORY_MAX_SESSIONS", "0"),
        (NearCacheSettings, "NEAR_CACHE_USERS", "0"),
        (TokenCacheSettings, "JWT_CACHE_TOKENS", "none"),
        (DenylistSettings, "DENYLIST_MAX_STALE_SECONDS", "1"),
    ],
)
def test_a_strategy_reads_its_own_settings_from_the_environment(
    environment: pytest.MonkeyPatch, own: type[Settings], name: str, wrong: str
) -> None:
    environment.setenv(name, "7")
    assert getattr(read_settings(own), name.lower()) == 7
    environment.setenv(name, wrong)
    with pytest.raises(ConfigurationError, match=f"setting {name}: "):
        read_settings(own)
