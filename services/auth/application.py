"""Composition root: puts the auth service together."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from argon2 import PasswordHasher
from redis.asyncio import Redis

from services.auth.accounts.authentication import Authentication
from services.auth.accounts.guess_limits import GuessLimits
from services.auth.accounts.passwords import Passwords, owasp_hasher
from services.auth.accounts.store import AccountStore
from services.auth.clock import Clock
from services.auth.database.database import Database
from services.auth.http.accounts import AccountHandlers
from services.auth.http.bearer import BearerAuthentication
from services.auth.http.client_authentication import ClientAuthentication
from services.auth.http.devices import DeviceHandlers
from services.auth.http.discovery import DiscoveryHandlers
from services.auth.http.keys import KeyHandlers
from services.auth.http.oauth import OAuthHandlers
from services.auth.keys.derived_keys import DerivedKeys
from services.auth.keys.key import SharedKey, UnfitKeyError
from services.auth.keys.ring import KeyRing, SharedKeyRing
from services.auth.keys.rotation import KeyRotation
from services.auth.keys.store import KeyStore, WrongEncryptionSecretError
from services.auth.logins.access_tokens import AccessTokens
from services.auth.logins.family_store import FamilyStore
from services.auth.logins.introspection import Introspection
from services.auth.logins.logins import Logins
from services.auth.logins.refresh_tokens import RefreshTokens
from services.auth.settings import AuthSettings
from services.common.http.service import add_routes, create_service
from services.common.redis_client import closing, connect
from services.common.removed_keys import RemovedKeys
from services.common.settings import ConfigurationError
from services.common.tokens.verifier import LEEWAY_SECONDS, AccessTokenVerifier


@dataclass(frozen=True)
class Parts:
    """What the service is made of. *rotation* is None if tokens are signed with a shared secret."""

    database: Database
    redis: Redis
    accounts: AccountStore
    passwords: Passwords
    authentication: Authentication
    rotation: KeyRotation | None
    keys: KeyRing
    logins: Logins
    introspection: Introspection
    bearers: BearerAuthentication


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)
"""For tests to look into. Handlers get their parts from `_routes`."""


def create_app(
    settings: AuthSettings, *, clock: Clock = time.time, hasher: PasswordHasher | None = None
) -> web.Application:
    """Return the service. It connects to nothing before it starts. Tests choose *clock* and *hasher*."""
    parts = _parts(settings, clock, hasher or owasp_hasher())

    async def keys_missing() -> str | None:
        return None if parts.keys.keys else "no signing key is loaded yet"

    app = create_service(settings.replica, [parts.database.missing, keys_missing])
    app[PARTS] = parts
    app.cleanup_ctx.append(lambda _: _running(parts, settings))
    add_routes(app, _routes(parts, settings, clock))
    return app


def _parts(settings: AuthSettings, clock: Clock, hasher: PasswordHasher) -> Parts:
    derived = DerivedKeys.from_secret(settings.key_encryption_secret.get_secret_value())
    database = Database(settings.database)
    redis = connect(settings.redis_url, settings.redis_password.get_secret_value())
    accounts = AccountStore(database)
    passwords = Passwords(hasher, threads=settings.password_threads, queue=settings.password_queue)
    guesses = GuessLimits(redis, derived.guess_limits, settings.guess_limits, clock)
    rotation, keys = _keys(settings, KeyStore(database, derived.at_rest), RemovedKeys(redis), clock)
    verifier = AccessTokenVerifier(keys.find, settings.issuer, settings.audience, clock)
    token_seconds = settings.access_token_seconds + LEEWAY_SECONDS
    families = FamilyStore(redis, token_seconds, settings.session_absolute_seconds, settings.limit)
    refresh_tokens = RefreshTokens(settings.issuer, derived.refresh_tokens)
    logins = Logins(
        accounts=accounts,
        families=families,
        keys=keys,
        access_tokens=AccessTokens(settings.issuer, settings.audience, settings.access_token_seconds),
        refresh_tokens=refresh_tokens,
        lifetimes=settings.refresh_lifetimes,
        clock=clock,
    )
    return Parts(
        database=database,
        redis=redis,
        accounts=accounts,
        passwords=passwords,
        authentication=Authentication(accounts, passwords, guesses),
        rotation=rotation,
        keys=keys,
        logins=logins,
        introspection=Introspection(accounts, families, verifier, refresh_tokens, clock),
        bearers=BearerAuthentication(verifier, accounts, logins),
    )


def _keys(
    settings: AuthSettings, store: KeyStore, removed: RemovedKeys, clock: Clock
) -> tuple[KeyRotation | None, KeyRing]:
    if settings.algorithm == "HS256":
        return None, SharedKeyRing(SharedKey(settings.token_signing_secret.get_secret_value()))
    rotation = KeyRotation(store, removed, settings.algorithm, settings.key_policy, clock, settings.rsa_bits)
    return rotation, rotation.ring


@asynccontextmanager
async def _running(parts: Parts, settings: AuthSettings) -> AsyncIterator[None]:
    """Open the parts, prepare them to serve, and close them at the end."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(parts.database.opened())
        await stack.enter_async_context(closing(parts.redis))
        stack.callback(parts.passwords.close)
        await parts.authentication.ensure_administrator(settings.admin_password.get_secret_value())
        if parts.rotation:
            await _load_keys(parts.rotation)
            await stack.enter_async_context(parts.rotation.polling(settings.key_poll_seconds))
        parts.database.hurry()
        yield


async def _load_keys(rotation: KeyRotation) -> None:
    try:
        await rotation.start()
    except WrongEncryptionSecretError:
        raise ConfigurationError(
            "secret key-encryption-secret: the keys in the database were encrypted with another secret"
        ) from None
    except UnfitKeyError as error:
        raise ConfigurationError(f"AUTH_DATABASE_URL: {error}") from None


def _routes(parts: Parts, settings: AuthSettings, clock: Clock) -> Iterator[web.RouteDef]:
    clients = ClientAuthentication(settings.app_client_secret)
    yield from AccountHandlers(parts.authentication, parts.logins, parts.bearers, clients, clock).routes()
    yield from DeviceHandlers(parts.accounts, parts.logins, parts.bearers).routes()
    yield from OAuthHandlers(parts.logins, parts.introspection, clients).routes()
    yield from KeyHandlers(parts.rotation, parts.bearers).routes()
    yield from DiscoveryHandlers(settings.issuer, parts.keys, settings.jwks_max_age_seconds).routes()
