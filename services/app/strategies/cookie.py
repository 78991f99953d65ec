"""The session itself in an encrypted cookie: no store to ask, and none that could take anything back."""

import re

from aiohttp import web
from pydantic import Field, SecretStr, field_validator

from services.app.parts import Parts
from services.app.sessions.cookie import SessionCookie
from services.app.sessions.encrypted_cookie import CookieStorage, EncryptedCookieStrategy
from services.app.sessions.state import SessionLifetimes
from services.app.strategy import Capability, Facts, Info, Kind
from services.common.settings import Settings

FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


class CookieSettings(Settings):
    """What `cookie` is configured with."""

    cookie_keys: SecretStr = Field(
        validation_alias="cookie-keys", description="Fernet keys, separated by commas: the first encrypts, all decrypt"
    )

    @field_validator("cookie_keys")
    @classmethod
    def _keys_are_fernets(cls, keys: SecretStr) -> SecretStr:
        for number, key in enumerate(keys.get_secret_value().split(","), 1):
            if not FERNET_KEY.fullmatch(key.strip()):  # `Fernet` itself skips what is not base64
                raise ValueError(f"key {number} is not a Fernet key (32 bytes in base64url)")
        return keys

    def split(self) -> list[str]:
        """Return the keys, one by one."""
        return [key.strip() for key in self.cookie_keys.get_secret_value().split(",")]


def create(name: str, parts: Parts, app: web.Application) -> EncryptedCookieStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    settings = parts.settings
    keys = parts.read_settings(CookieSettings).split()
    cookie = SessionCookie(f"{name}-session", "[A-Za-z0-9_-]+", secure=settings.secure_cookies)
    info = Info(
        name,
        Kind.SESSION,
        description="The session itself in an encrypted cookie that every replica can read",
        capabilities=frozenset({Capability.VISITS, Capability.ANY_REPLICA}),
        choose_when="Choose it when there is no store, the state may be rolled back, and nobody else ever has "
        "to end a login.",
        facts=Facts(
            state="in an encrypted cookie",
            request="decrypting it",
            staleness="the login's life, up to `SESSION_ABSOLUTE_SECONDS`",
        ),
    )
    lifetimes = SessionLifetimes(settings.session_idle_seconds, settings.session_absolute_seconds)
    return EncryptedCookieStrategy(info, CookieStorage(keys, cookie), lifetimes, parts.clock)
