"""The composition root of the auth service: everything is made and joined here."""

import sys
import time
from collections.abc import AsyncIterator, Callable

import jwt
from aiohttp import web
from argon2 import PasswordHasher
from redis.asyncio import Redis

from services.auth.accounts.authentication import Authentication
from services.auth.accounts.guess_limits import GuessLimits
from services.auth.accounts.passwords import Passwords, owasp_hasher
from services.auth.accounts.store import AccountStore
from services.auth.clock import Clock
from services.auth.database.database import Database, open_database
from services.auth.http import accounts, devices, discovery, keys, oauth
from services.auth.http.appkeys import (
    ACCOUNTS,
    AUTHENTICATION,
    CLOCK,
    INTROSPECTION,
    KEYS,
    LOGINS,
    ROTATION,
    SETTINGS,
    VERIFIER,
)
from services.auth.keys.derived_keys import DerivedKeys
from services.auth.keys.key import SharedKey, UnfitKeyError
from services.auth.keys.ring import SharedKeyRing
from services.auth.keys.rotation import KeyRotation
from services.auth.keys.store import KeyStore, WrongEncryptionSecretError
from services.auth.logins.access_tokens import AccessTokens
from services.auth.logins.family_store import FamilyStore
from services.auth.logins.introspection import Introspection
from services.auth.logins.logins import Logins
from services.auth.logins.refresh_rotation import RefreshLifetimes
from services.auth.logins.refresh_tokens import RefreshTokens
from services.auth.settings import AuthSettings
from services.common.http.service import add_routes, create_service
from services.common.redis_client import open_redis
from services.common.removed_keys import RemovedKeys
from services.common.tokens.verifier import LEEWAY_SECONDS, AccessTokenVerifier

DATABASE: web.AppKey[Database] = web.AppKey("database", Database)
REDIS: web.AppKey[Redis] = web.AppKey("redis", Redis)


def create_app(
    settings: AuthSettings, *, clock: Clock = time.time, hasher: PasswordHasher | None = None
) -> web.Application:
    """Return the service. *clock* and *hasher* (OWASP's Argon2id if None) are for tests to choose."""
    derived = DerivedKeys.from_secret(settings.key_encryption_secret.get_secret_value())

    async def database_ready() -> str | None:
        return await app[DATABASE].missing() if DATABASE in app else "the database is not open yet"

    async def keys_ready() -> str | None:
        return None if KEYS in app and app[KEYS].keys else "no signing key is loaded yet"

    async def stores(app: web.Application) -> AsyncIterator[None]:
        redis_password = settings.redis_password.get_secret_value()
        async with (
            open_database(settings.database) as database,
            open_redis(settings.redis_url, redis_password) as redis,
        ):
            app[DATABASE], app[REDIS] = database, redis
            yield

    async def authentication(app: web.Application) -> AsyncIterator[None]:
        passwords = Passwords(
            hasher or owasp_hasher(), threads=settings.password_threads, queue=settings.password_queue
        )
        app[ACCOUNTS] = AccountStore(app[DATABASE])
        guesses = GuessLimits(app[REDIS], derived.guess_limits, settings.guess_limits, clock)
        app[AUTHENTICATION] = Authentication(app[ACCOUNTS], passwords, guesses)
        await app[AUTHENTICATION].ensure_administrator(settings.admin_password.get_secret_value())
        yield
        passwords.close()

    async def tokens(app: web.Application) -> AsyncIterator[None]:
        token_seconds = settings.access_token_seconds + LEEWAY_SECONDS
        families = FamilyStore(app[REDIS], token_seconds, settings.session_absolute_seconds, settings.limit)
        refresh_tokens = RefreshTokens(settings.issuer, derived.refresh_tokens)
        app[LOGINS] = Logins(
            accounts=app[ACCOUNTS],
            families=families,
            keys=app[KEYS],
            access_tokens=AccessTokens(settings.issuer, settings.audience, settings.access_token_seconds),
            refresh_tokens=refresh_tokens,
            lifetimes=_lifetimes(settings),
            clock=clock,
        )

        async def find_key(kid: str) -> jwt.PyJWK | None:
            return app[KEYS].find(kid)

        app[VERIFIER] = AccessTokenVerifier(find_key, settings.issuer, settings.audience, clock)
        app[INTROSPECTION] = Introspection(app[ACCOUNTS], families, app[VERIFIER], refresh_tokens, clock)
        app[DATABASE].hurry()
        yield

    app = create_service(settings.replica, [database_ready, keys_ready])
    app[SETTINGS], app[CLOCK] = settings, clock
    app.cleanup_ctx.extend([stores, authentication, _keys(settings, clock), tokens])
    add_routes(app, [*accounts.routes, *devices.routes, *oauth.routes, *discovery.routes, *keys.routes])
    return app


def _lifetimes(settings: AuthSettings) -> RefreshLifetimes:
    return RefreshLifetimes(
        idle=settings.refresh_idle_seconds,
        absolute=settings.refresh_absolute_seconds,
        grace=settings.refresh_grace_seconds,
    )


def _keys(settings: AuthSettings, clock: Clock) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what keeps `KEYS` while the application runs, and `ROTATION` unless the key is a shared secret."""

    async def shared_key(app: web.Application) -> AsyncIterator[None]:
        app[KEYS] = SharedKeyRing(SharedKey(settings.token_signing_secret.get_secret_value()))
        yield

    async def signing_keys(app: web.Application) -> AsyncIterator[None]:
        derived = DerivedKeys.from_secret(settings.key_encryption_secret.get_secret_value())
        store, removed = KeyStore(app[DATABASE], derived.at_rest), RemovedKeys(app[REDIS])
        app[ROTATION] = KeyRotation(store, removed, settings.algorithm, settings.key_policy, clock)
        app[KEYS] = app[ROTATION].ring
        try:
            await app[ROTATION].start()
        except WrongEncryptionSecretError:
            sys.exit("secret key-encryption-secret: it is not the one that the keys in the database were stored with")
        except UnfitKeyError as error:
            sys.exit(f"AUTH_DATABASE_URL: {error}")
        async with app[ROTATION].polling(settings.key_poll_seconds):
            yield

    return shared_key if settings.algorithm == "HS256" else signing_keys
