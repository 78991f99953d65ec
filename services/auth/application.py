"""The composition root of the auth service: everything is made and joined here."""

import sys
import time
from collections.abc import AsyncIterator

from aiohttp import web
from argon2 import PasswordHasher
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from services.auth.access_tokens import AccessTokens
from services.auth.accounts import Accounts
from services.auth.appkeys import AUTHENTICATION, KEYS, LOGINS, SETTINGS
from services.auth.authentication import Authentication
from services.auth.clock import Clock
from services.auth.database import database_missing, open_database
from services.auth.derived_keys import DerivedKeys
from services.auth.family_store import FamilyStore, open_redis
from services.auth.handlers import accounts, discovery, oauth
from services.auth.key_store import KeyStore, WrongEncryptionSecretError
from services.auth.logins import Logins
from services.auth.passwords import Passwords, owasp_hasher
from services.auth.refresh_rotation import Lifetimes
from services.auth.refresh_tokens import RefreshTokens
from services.auth.settings import AuthSettings
from services.common.service import create_service

ENGINE: web.AppKey[AsyncEngine] = web.AppKey("engine", AsyncEngine)
REDIS: web.AppKey[Redis] = web.AppKey("redis", Redis)


def create_app(
    settings: AuthSettings, *, clock: Clock = time.time, hasher: PasswordHasher | None = None
) -> web.Application:
    """Return the service. *clock* and *hasher* (OWASP's Argon2id if None) are for tests to choose."""

    async def database_ready() -> str | None:
        return await database_missing(app[ENGINE]) if ENGINE in app else "the database is not open yet"

    async def keys_ready() -> str | None:
        return None if KEYS in app and app[KEYS].keys else "no signing key is loaded yet"

    async def stores(app: web.Application) -> AsyncIterator[None]:
        redis_password = settings.redis_password.get_secret_value()
        async with open_database(settings.database) as engine, open_redis(settings.redis_url, redis_password) as redis:
            app[ENGINE], app[REDIS] = engine, redis
            yield

    async def authentication(app: web.Application) -> AsyncIterator[None]:
        passwords = Passwords(
            hasher or owasp_hasher(), threads=settings.password_threads, queue=settings.password_queue
        )
        app[AUTHENTICATION] = Authentication(Accounts(app[ENGINE]), passwords)
        await app[AUTHENTICATION].ensure_administrator(settings.admin_password.get_secret_value())
        yield
        passwords.close()

    async def tokens(app: web.Application) -> AsyncIterator[None]:
        derived = DerivedKeys.from_secret(settings.key_encryption_secret.get_secret_value())
        try:
            app[KEYS] = await KeyStore(app[ENGINE], derived.at_rest, clock).load_or_create()
        except WrongEncryptionSecretError:
            sys.exit("secret key-encryption-secret: it is not the one that the keys in the database were stored with")
        app[LOGINS] = Logins(
            accounts=Accounts(app[ENGINE]),
            families=FamilyStore(app[REDIS]),
            keys=app[KEYS],
            access_tokens=AccessTokens(settings.issuer, settings.audience, settings.access_token_seconds),
            refresh_tokens=RefreshTokens(settings.issuer, derived.refresh_tokens),
            lifetimes=_lifetimes(settings),
            clock=clock,
        )
        yield

    app = create_service(settings.replica, [database_ready, keys_ready])
    app[SETTINGS] = settings
    app.cleanup_ctx.extend([stores, authentication, tokens])
    for routes in (accounts.routes, oauth.routes, discovery.routes):
        app.add_routes(routes)
    return app


def _lifetimes(settings: AuthSettings) -> Lifetimes:
    return Lifetimes(
        idle=settings.refresh_idle_seconds,
        absolute=settings.refresh_absolute_seconds,
        grace=settings.refresh_grace_seconds,
    )
