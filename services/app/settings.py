"""What a replica is configured with."""

import base64
import re
from typing import Annotated, Self

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from services.common.removed_keys import REMEMBERED_SECONDS
from services.common.settings import CommonSettings

COOKIE_KEY = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?")


def _split(text: object) -> object:
    return text.split(",") if isinstance(text, str) else text


class AppSettings(CommonSettings):
    """Settings of one replica. Times are in seconds."""

    auth_urls: Annotated[tuple[AnyHttpUrl, ...], NoDecode, BeforeValidator(_split)] = Field(
        validation_alias="AUTH_URL", description="the auth service, without /auth; several processes: commas between"
    )
    session_idle_seconds: int = Field(
        1800, validation_alias="SESSION_IDLE_SECONDS", ge=1, description="a session ends so long after its last use"
    )
    memory_max_sessions: int = Field(
        500_000, validation_alias="MEMORY_MAX_SESSIONS", ge=1, description="above, the longest unused session ends"
    )
    jwks_max_stale_seconds: int = Field(
        900,
        validation_alias="JWKS_MAX_STALE_SECONDS",
        ge=1,
        le=REMEMBERED_SECONDS,
        description="keys are trusted so long after they were last fetched; above, tokens get a 503",
    )
    near_cache_users: int = Field(
        10_000,
        validation_alias="NEAR_CACHE_USERS",
        ge=1,
        description="redis-cached: whose sessions a replica remembers",
    )
    jwt_cache_tokens: int = Field(
        10_000, validation_alias="JWT_CACHE_TOKENS", ge=1, description="jwt-cached: how many tokens a replica remembers"
    )
    denylist_max_stale_seconds: float = Field(
        10,
        validation_alias="DENYLIST_MAX_STALE_SECONDS",
        gt=1,
        description="jwt-denylist: without news of revocations for so long, tokens get a 503",
    )
    cookie_keys: SecretStr = Field(
        validation_alias="cookie-keys",
        description="cookie: keys with commas between, each 32 bytes in base64url; the first encrypts, all decrypt",
    )
    secure_cookies: bool = Field(
        True,
        validation_alias="SECURE_COOKIES",
        description="false only for plain HTTP on localhost: no Secure, no __Host-",
    )

    @field_validator("cookie_keys")
    @classmethod
    def _keys_are_long_enough(cls, keys: SecretStr) -> SecretStr:
        for number, key in enumerate(keys.get_secret_value().split(","), 1):
            if not COOKIE_KEY.fullmatch(key.strip()):
                raise ValueError(f"key {number} is not 32 bytes in base64url")
        return keys

    @property
    def decoded_cookie_keys(self) -> list[bytes]:
        """The keys of `cookie`, the one that encrypts first."""
        texts = self.cookie_keys.get_secret_value().split(",")
        return [base64.urlsafe_b64decode(text.strip().rstrip("=") + "=") for text in texts]

    @model_validator(mode="after")
    def _idle_within_absolute(self) -> Self:
        if self.session_idle_seconds > self.session_absolute_seconds:
            raise ValueError("SESSION_IDLE_SECONDS is above SESSION_ABSOLUTE_SECONDS")
        return self
