"""Settings of the auth service."""

import os
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from services.auth.accounts.guess_limits import GuessBuckets
from services.auth.accounts.precis import new_password
from services.auth.keys.life import Policy
from services.auth.logins.refresh_rotation import RefreshLifetimes
from services.common.settings import CommonSettings

DAY = 24 * 60 * 60
RETIRE_MARGIN_SECONDS = 60  # for verifiers' leeway, and for auth processes that lag behind
DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")


class AuthSettings(CommonSettings):
    """Settings of the auth service. Durations are in seconds."""

    database_url: str = Field(validation_alias="AUTH_DATABASE_URL", description="SQLAlchemy URL, without the password")
    access_token_seconds: int = Field(300, validation_alias="ACCESS_TOKEN_SECONDS", ge=1)
    refresh_idle_seconds: int = Field(14 * DAY, validation_alias="REFRESH_IDLE_SECONDS", ge=1)
    refresh_absolute_seconds: int = Field(90 * DAY, validation_alias="REFRESH_ABSOLUTE_SECONDS", ge=1)
    refresh_grace_seconds: int = Field(10, validation_alias="REFRESH_GRACE_SECONDS", ge=0)
    rsa_bits: Annotated[Literal[2048, 3072, 4096], BeforeValidator(int)] = Field(  # the environment has texts
        3072, validation_alias="AUTH_RSA_BITS", description="RS256: the size of new signing keys"
    )
    key_publish_seconds: int = Field(
        120, validation_alias="KEY_PUBLISH_SECONDS", ge=1, description="between a key's publication and its first use"
    )
    key_poll_seconds: float = Field(
        2, validation_alias="KEY_POLL_SECONDS", gt=0, le=10, description="between reads of the keys in the database"
    )
    jwks_max_age_seconds: int = Field(
        60, validation_alias="JWKS_MAX_AGE_SECONDS", ge=0, description="how long caches may keep the key set"
    )
    password_threads: int = Field(os.cpu_count() or 1, validation_alias="PASSWORD_THREADS", ge=1)
    password_queue: int = Field(
        64,
        validation_alias="PASSWORD_QUEUE",
        ge=0,
        description="how many password checks may wait, and as many registrations",
    )
    failures_per_pair: int = Field(
        10, validation_alias="FAILURES_PER_PAIR", ge=1, description="wrong passwords for one account from one address"
    )
    failures_per_address: int = Field(
        100, validation_alias="FAILURES_PER_ADDRESS", ge=1, description="wrong passwords from one address, at once"
    )
    failures_per_account: int = Field(
        100, validation_alias="FAILURES_PER_ACCOUNT", ge=1, description="wrong passwords for one account, at once"
    )
    admin_password: SecretStr = Field(validation_alias="admin-password")
    key_encryption_secret: SecretStr = Field(validation_alias="key-encryption-secret", min_length=32)
    postgres_password: SecretStr | None = Field(None, validation_alias="postgres-password")

    @field_validator("admin_password")
    @classmethod
    def _administrator_has_a_password(cls, password: SecretStr) -> SecretStr:
        return SecretStr(new_password(password.get_secret_value()))

    @property
    def database(self) -> URL:
        """The database's URL, including the password for PostgreSQL."""
        url = make_url(self.database_url)
        if self.postgres_password is None or url.get_backend_name() != "postgresql":
            return url
        return url.set(password=self.postgres_password.get_secret_value())

    @property
    def key_policy(self) -> Policy:
        """How long a key is published before its first use and after its last."""
        return Policy(self.key_publish_seconds, self.access_token_seconds + RETIRE_MARGIN_SECONDS)

    @property
    def refresh_lifetimes(self) -> RefreshLifetimes:
        """How long a login lives between refreshes and in all, and how long a replaced token may be repeated."""
        return RefreshLifetimes(self.refresh_idle_seconds, self.refresh_absolute_seconds, self.refresh_grace_seconds)

    @property
    def guess_limits(self) -> GuessBuckets:
        """The buckets for wrong passwords. How fast they empty cannot be configured."""
        default = GuessBuckets()
        return GuessBuckets(
            default.pair._replace(burst=self.failures_per_pair),
            default.address._replace(burst=self.failures_per_address),
            default.account._replace(burst=self.failures_per_account),
        )

    @model_validator(mode="after")
    def _keys_are_known_everywhere_before_their_first_use(self) -> Self:
        """Every replica must have a key before its first use: auth polls it, caches expire, the replica fetches it."""
        oldest = 2 * self.key_poll_seconds + self.jwks_max_age_seconds + self.jwks_refresh_seconds
        if self.key_publish_seconds <= oldest:
            raise ValueError(
                f"KEY_PUBLISH_SECONDS must be greater than {oldest:g}:"
                " 2 x KEY_POLL_SECONDS + JWKS_MAX_AGE_SECONDS + JWKS_REFRESH_SECONDS"
            )
        return self

    @model_validator(mode="after")
    def _database_is_one_we_know(self) -> Self:
        try:
            url = make_url(self.database_url)
        except ArgumentError:
            raise ValueError("AUTH_DATABASE_URL is not a valid SQLAlchemy URL") from None
        if url.drivername not in DRIVERS:
            raise ValueError(f"AUTH_DATABASE_URL must begin with one of {', '.join(DRIVERS)}")
        if url.get_backend_name() == "postgresql" and self.postgres_password is None:
            raise ValueError("AUTH_DATABASE_URL names a PostgreSQL server, but the secret postgres-password is missing")
        return self
