"""Settings of a replica."""

from typing import Annotated, Self

from pydantic import AnyHttpUrl, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from services.common.removed_keys import REMEMBERED_SECONDS
from services.common.settings import CommonSettings


def _split(text: object) -> object:
    return text.split(",") if isinstance(text, str) else text


class AppSettings(CommonSettings):
    """What all strategies of a replica share; settings of a strategy's own are in its file. Times are in seconds."""

    auth_urls: Annotated[tuple[AnyHttpUrl, ...], NoDecode, BeforeValidator(_split)] = Field(
        validation_alias="AUTH_URL",
        description="URLs of the auth service's processes, without /auth, separated by commas",
    )
    session_idle_seconds: int = Field(
        1800, validation_alias="SESSION_IDLE_SECONDS", ge=1, description="how long a session lasts after its last use"
    )
    jwks_max_stale_seconds: int = Field(
        900,
        validation_alias="JWKS_MAX_STALE_SECONDS",
        ge=1,
        le=REMEMBERED_SECONDS,
        description="how long keys are trusted after they were fetched; after that, tokens get a 503",
    )
    secure_cookies: bool = Field(
        True,
        validation_alias="SECURE_COOKIES",
        description="false only for plain HTTP on localhost: cookies then lack Secure and __Host-",
    )

    @model_validator(mode="after")
    def _idle_within_absolute(self) -> Self:
        if self.session_idle_seconds > self.session_absolute_seconds:
            raise ValueError("SESSION_IDLE_SECONDS must not exceed SESSION_ABSOLUTE_SECONDS")
        return self
