"""What a replica is configured with."""

from typing import Self

from pydantic import AnyHttpUrl, Field, model_validator

from services.common.settings import CommonSettings


class AppSettings(CommonSettings):
    """Settings of one replica. Times are in seconds."""

    auth_url: AnyHttpUrl = Field(validation_alias="AUTH_URL", description="the auth service, without /auth")
    session_idle_seconds: int = Field(
        1800, validation_alias="SESSION_IDLE_SECONDS", ge=1, description="a session ends so long after its last use"
    )
    session_absolute_seconds: int = Field(
        43200, validation_alias="SESSION_ABSOLUTE_SECONDS", ge=1, description="... and so long after its login anyway"
    )
    memory_max_sessions: int = Field(
        500_000, validation_alias="MEMORY_MAX_SESSIONS", ge=1, description="above, the longest unused session ends"
    )
    secure_cookies: bool = Field(
        True,
        validation_alias="SECURE_COOKIES",
        description="false only for plain HTTP on localhost: no Secure, no __Host-",
    )

    @model_validator(mode="after")
    def _idle_within_absolute(self) -> Self:
        if self.session_idle_seconds > self.session_absolute_seconds:
            raise ValueError("SESSION_IDLE_SECONDS is above SESSION_ABSOLUTE_SECONDS")
        return self
