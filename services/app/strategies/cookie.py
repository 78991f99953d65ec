"""The session itself in an encrypted cookie: there is no store to ask, and none that could end a session."""

import base64
import re

from aiohttp import web
from pydantic import Field, SecretStr, field_validator

from services.app.parts import Parts
from services.app.sessions.cookie import SessionCookie
from services.app.sessions.cookie_keys import CookieKeys
from services.app.sessions.encrypted_cookie import CookieStorage, EncryptedCookieStrategy
from services.app.sessions.state import SessionLifetimes
from services.app.strategy import Capability, Facts, Info, Kind
from services.common.settings import Settings

COOKIE_KEY = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?")
VERSION = 1  # of what is in the cookie; another one makes all cookies invalid


class CookieSettings(Settings):
    """What `cookie` is configured with."""

    cookie_keys: SecretStr = Field(
        validation_alias="cookie-keys",
        description="keys separated by commas, each 32 bytes in base64url: the first encrypts, all decrypt",
    )

    @field_validator("cookie_keys")
    @classmethod
    def _keys_are_long_enough(cls, keys: SecretStr) -> SecretStr:
        for number, key in enumerate(keys.get_secret_value().split(","), 1):
            if not COOKIE_KEY.fullmatch(key.strip()):
                raise ValueError(f"key {number} is not 32 bytes in base64url")
        return keys

    def decoded(self) -> list[bytes]:
        """Return the keys, the one that encrypts first."""
        texts = self.cookie_keys.get_secret_value().split(",")
        return [base64.urlsafe_b64decode(text.strip().rstrip("=") + "=") for text in texts]


def create(name: str, parts: Parts, app: web.Application) -> EncryptedCookieStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    settings = parts.settings
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
            forced_logout="no, not even by disabling the account",
            staleness="the login's life, up to `SESSION_ABSOLUTE_SECONDS`",
        ),
    )
    lifetimes = SessionLifetimes(settings.session_idle_seconds, settings.session_absolute_seconds)
    keys = CookieKeys(parts.read_settings(CookieSettings).decoded(), f"{cookie.name} {VERSION}".encode())
    return EncryptedCookieStrategy(info, CookieStorage(keys, lifetimes, cookie, parts.clock), lifetimes, parts.clock)
