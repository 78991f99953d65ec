"""Settings of both services, and how they are read: from the environment, and secrets from files."""

import os
import socket
from pathlib import Path
from typing import Literal, Protocol, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.devices import LimitPolicy, LoginLimit

Algorithm = Literal["EdDSA", "ES256", "RS256", "HS256"]
MIN_HMAC_BITS = 256


class Settings(BaseSettings):
    """Environment variables. Secrets are files in `SECRETS_DIR`, named like their alias. None has a default."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class CommonSettings(Settings):
    """Settings of both auth and app."""

    host: str = Field("127.0.0.1", validation_alias="HOST")
    port: int = Field(validation_alias="PORT", ge=0, le=65535)
    replica: str = Field(
        default_factory=socket.gethostname,
        validation_alias="REPLICA",
        description="name of this process, sent as X-Replica; the default is the host name, for containers",
    )
    drain_seconds: float = Field(
        8,
        validation_alias="DRAIN_SECONDS",
        description="longest wait for open connections; above nginx's keepalive_timeout",
    )
    issuer: str = Field(validation_alias="AUTH_ISSUER", description="`iss` of all tokens: public URL plus /auth")
    audience: str = Field("authscale", validation_alias="AUTH_AUDIENCE", description="`aud` of access tokens")
    redis_url: str = Field(
        validation_alias="REDIS_URL", pattern="^redis://", description="redis://HOST:PORT/DB, without the password"
    )
    redis_password: SecretStr = Field(validation_alias="redis-password")
    app_client_secret: SecretStr = Field(
        validation_alias="app-client-secret", description="authenticates the app at the auth service"
    )

    session_absolute_seconds: int = Field(
        43200,
        validation_alias="SESSION_ABSOLUTE_SECONDS",
        ge=1,
        description="how long a session lasts after its login; revocations are kept for as long",
    )
    session_limit: int = Field(
        50,
        validation_alias="SESSION_LIMIT",
        ge=1,
        description="how many logins a user may have under each session strategy, and with tokens",
    )
    session_limit_policy: LimitPolicy = Field(
        "end-oldest",
        validation_alias="SESSION_LIMIT_POLICY",
        description="deny one login more (409), or end-oldest: end the one unused for longest",
    )
    algorithm: Algorithm = Field(
        "EdDSA", validation_alias="AUTH_ALGORITHM", description="algorithm of new signing keys; HS256: a shared secret"
    )
    token_signing_secret: SecretStr = Field(
        SecretStr(""), validation_alias="token-signing-secret", description="required for HS256 only"
    )
    jwks_refresh_seconds: int = Field(
        30,
        validation_alias="JWKS_REFRESH_SECONDS",
        ge=1,
        le=45,  # with KEY_POLL_SECONDS, time-outs and a retry, a removed key is refused within 60 s
        description="between a replica's fetches of the public keys",
    )

    @model_validator(mode="after")
    def _shared_secret_is_strong(self) -> Self:
        bits = 8 * len(self.token_signing_secret.get_secret_value().encode())
        if self.algorithm == "HS256" and bits < MIN_HMAC_BITS:  # RFC 7518 §3.2
            raise ValueError(f"the secret token-signing-secret has {bits} bits: HS256 needs {MIN_HMAC_BITS}")
        return self

    @property
    def limit(self) -> LoginLimit:
        """How many logins a user may have."""
        return LoginLimit(self.session_limit, self.session_limit_policy)


class ConfigurationError(Exception):
    """The process cannot start as it is configured. The text tells the operator why, one line for each mistake."""


S = TypeVar("S", bound=Settings)


class ReadSettings(Protocol):
    """Builds settings of any class, or stops the start."""

    def __call__(self, kind: type[S], /) -> S:
        """Return the settings that *kind* describes."""


def read_settings(kind: type[S]) -> S:
    """Build *kind* from the environment and the files in `SECRETS_DIR`. Raises `ConfigurationError`."""
    directory = os.environ.get("SECRETS_DIR")
    if not directory or not Path(directory).is_dir():
        raise ConfigurationError(
            f"SECRETS_DIR is {directory or 'not set'}: run `python -m deploy.make_secrets DIR` and set it to DIR"
        )
    try:
        return kind(_secrets_dir=directory)
    except ValidationError as error:
        lines = [_line(item["loc"], item["msg"]) for item in error.errors()]
    hint = f"Settings are environment variables; secrets are files in {directory}."
    raise ConfigurationError("\n".join([hint, *lines]))


def _line(location: tuple[int | str, ...], message: str) -> str:
    """Return what is wrong with a setting, or with several together if there is no *location*."""
    where = f"setting {'.'.join(map(str, location))}: " if location else ""
    return where + message.removeprefix("Value error, ")
