"""Settings of the auth service."""

import os
from typing import Self

from pydantic import Field, SecretStr, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from services.common.settings import CommonSettings

DAY = 24 * 60 * 60
DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")


class AuthSettings(CommonSettings):
    """What the auth service is told from outside. Durations are whole seconds."""

    database_url: str = Field(validation_alias="AUTH_DATABASE_URL", description="SQLAlchemy URL, without the password")
    access_token_seconds: int = Field(300, validation_alias="ACCESS_TOKEN_SECONDS", ge=1)
    refresh_idle_seconds: int = Field(14 * DAY, validation_alias="REFRESH_IDLE_SECONDS", ge=1)
    refresh_absolute_seconds: int = Field(90 * DAY, validation_alias="REFRESH_ABSOLUTE_SECONDS", ge=1)
    refresh_grace_seconds: int = Field(10, validation_alias="REFRESH_GRACE_SECONDS", ge=0)
    password_threads: int = Field(os.cpu_count() or 1, validation_alias="PASSWORD_THREADS", ge=1)
    password_queue: int = Field(
        64, validation_alias="PASSWORD_QUEUE", ge=0, description="password checks that may wait; the next gets a 503"
    )
    admin_password: SecretStr = Field(validation_alias="admin-password", min_length=8)
    key_encryption_secret: SecretStr = Field(validation_alias="key-encryption-secret", min_length=32)
    postgres_password: SecretStr | None = Field(None, validation_alias="postgres-password")

    @property
    def database(self) -> URL:
        """The database's URL, with the password where it is a server that asks for one."""
        url = make_url(self.database_url)
        if self.postgres_password is None or url.get_backend_name() != "postgresql":
            return url
        return url.set(password=self.postgres_password.get_secret_value())

    @model_validator(mode="after")
    def _database_is_one_we_know(self) -> Self:
        try:
            url = make_url(self.database_url)
        except ArgumentError:
            raise ValueError("AUTH_DATABASE_URL is not a URL that SQLAlchemy can read") from None
        if url.drivername not in DRIVERS:
            raise ValueError(f"AUTH_DATABASE_URL must begin with one of {', '.join(DRIVERS)}")
        if url.get_backend_name() == "postgresql" and self.postgres_password is None:
            raise ValueError("AUTH_DATABASE_URL is PostgreSQL, but the secret postgres-password is missing")
        return self
