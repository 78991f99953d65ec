"""Settings that both services read, and how any of them is read: from the environment, secrets from files."""

import os
import socket
import sys
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.devices import LimitPolicy, LoginLimit

Algorithm = Literal["EdDSA", "ES256", "RS256", "HS256"]
MIN_HMAC_BITS = 256


class CommonSettings(BaseSettings):
    """What auth and app share. Secrets are files in `SECRETS_DIR`, named as their alias; none has a default."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    host: str = Field("127.0.0.1", validation_alias="HOST")
    port: int = Field(validation_alias="PORT", ge=0, le=65535)
    replica: str = Field(
        default_factory=socket.gethostname,
        validation_alias="REPLICA",
        description="this process' name, the X-Replica of every answer; a container's host name is one",
    )
    drain_seconds: float = Field(
        8, validation_alias="DRAIN_SECONDS", description="longest wait for open connections; above nginx's keepalive"
    )
    issuer: str = Field(validation_alias="AUTH_ISSUER", description="`iss` of all tokens: public URL plus /auth")
    audience: str = Field("authscale", validation_alias="AUTH_AUDIENCE", description="`aud` of access tokens")
    redis_url: str = Field(
        validation_alias="REDIS_URL", pattern="^redis://", description="redis://HOST:PORT/DB, without the password"
    )
    redis_password: SecretStr = Field(validation_alias="redis-password")
    app_client_secret: SecretStr = Field(
        validation_alias="app-client-secret", description="what the app proves itself with to the auth service"
    )

    session_absolute_seconds: int = Field(
        43200,
        validation_alias="SESSION_ABSOLUTE_SECONDS",
        ge=1,
        description="a session ends so long after its login; auth tells of revocations for as long",
    )
    session_limit: int = Field(
        50,
        validation_alias="SESSION_LIMIT",
        ge=1,
        description="how often one user may be logged in under one session strategy, and with tokens",
    )
    session_limit_policy: LimitPolicy = Field(
        "end-oldest",
        validation_alias="SESSION_LIMIT_POLICY",
        description="at one more: deny it (409), or end-oldest: the one unused for longest ends",
    )
    algorithm: Algorithm = Field(
        "EdDSA", validation_alias="AUTH_ALGORITHM", description="what new signing keys are for; HS256: a shared secret"
    )
    token_signing_secret: SecretStr = Field(
        SecretStr(""), validation_alias="token-signing-secret", description="needed for HS256, and only then"
    )
    jwks_refresh_seconds: int = Field(
        30,
        validation_alias="JWKS_REFRESH_SECONDS",
        ge=1,
        le=45,  # with KEY_POLL_SECONDS, time-outs and a retry, a removed key is dead within 60 s
        description="how often replicas fetch the public keys",
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


S = TypeVar("S", bound=CommonSettings)


def read_settings(kind: type[S]) -> S:
    """Build *kind* from the environment and `SECRETS_DIR`, or stop with one clear line for each mistake."""
    directory = os.environ.get("SECRETS_DIR")
    if not directory or not Path(directory).is_dir():
        sys.exit(f"SECRETS_DIR is {directory or 'not set'}: run `python -m deploy.make_secrets DIR` and point it there")
    try:
        return kind(_secrets_dir=directory)
    except ValidationError as error:
        lines = (f"setting {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        sys.exit("\n".join(lines) + f"\n(settings are environment variables; secrets are files in {directory})")
