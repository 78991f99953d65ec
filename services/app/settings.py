"""Settings of a replica."""

import re
from typing import Annotated, Self

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from services.common.removed_keys import REMEMBERED_SECONDS
from services.common.settings import CommonSettings

FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def _split(text: object) -> object:
    return text.split(",") if isinstance(text, str) else text


class AppSettings(CommonSettings):
    """Settings of one replica. Times are in seconds."""

    auth_urls: Annotated[tuple[AnyHttpUrl, ...], NoDecode, BeforeValidator(_split)] = Field(
        validation_alias="AUTH_URL",
        description="URLs of the auth service's processes, without /auth, separated by commas",
    )
    session_idle_seconds: int = Field(
        1800, validation_alias="SESSION_IDLE_SECONDS", ge=1, description="how long a session lasts after its last use"
    )
    memory_max_sessions: int = Field(
        500_000,
        validation_alias="MEMORY_MAX_SESSIONS",
        ge=1,
        description="memory: beyond this, the session unused for longest ends",
    )
    jwks_max_stale_seconds: int = Field(
        900,
        validation_alias="JWKS_MAX_STALE_SECONDS",
        ge=1,
        le=REMEMBERED_SECONDS,
        description="how long keys are trusted after they were fetched; after that, tokens get a 503",
    )
    near_cache_users: int = Field(
        10_000,
        validation_alias="NEAR_CACHE_USERS",
        ge=1,
        description="redis-cached: how many users' sessions a replica caches",
    )
    jwt_cache_tokens: int = Field(
        10_000, validation_alias="JWT_CACHE_TOKENS", ge=1, description="jwt-cached: how many tokens a replica caches"
    )
    denylist_max_stale_seconds: float = Field(
        10,
        validation_alias="DENYLIST_MAX_STALE_SECONDS",
        gt=1,
        description="jwt-denylist: how long tokens are trusted without news of revocations; then they get a 503",
    )
    cookie_keys: SecretStr = Field(
        validation_alias="cookie-keys",
        description="cookie: Fernet keys with commas between; the first one encrypts, all decrypt",
    )
    secure_cookies: bool = Field(
        True,
        validation_alias="SECURE_COOKIES",
        description="false only for plain HTTP on localhost: cookies then lack Secure and __Host-",
    )

    @field_validator("cookie_keys")
    @classmethod
    def _keys_are_fernets(cls, keys: SecretStr) -> SecretStr:
        for number, key in enumerate(keys.get_secret_value().split(","), 1):
            if not FERNET_KEY.fullmatch(key.strip()):  # `Fernet` itself reads over what is not base64
                raise ValueError(f"key {number} is no Fernet key (32 bytes in base64url)")
        return keys

    @model_validator(mode="after")
    def _idle_within_absolute(self) -> Self:
        if self.session_idle_seconds > self.session_absolute_seconds:
            raise ValueError("SESSION_IDLE_SECONDS must not exceed SESSION_ABSOLUTE_SECONDS")
        return self
