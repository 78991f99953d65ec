"""What the application owns, for handlers to find. `application` alone puts it there."""

from aiohttp import web

from services.auth.accounts.authentication import Authentication
from services.auth.accounts.store import AccountStore
from services.auth.clock import Clock
from services.auth.keys.ring import KeyRing
from services.auth.keys.rotation import KeyRotation
from services.auth.logins.introspection import Introspection
from services.auth.logins.logins import Logins
from services.auth.settings import AuthSettings
from services.common.tokens.verifier import AccessTokenVerifier

SETTINGS: web.AppKey[AuthSettings] = web.AppKey("settings", AuthSettings)
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
ACCOUNTS: web.AppKey[AccountStore] = web.AppKey("accounts", AccountStore)
AUTHENTICATION: web.AppKey[Authentication] = web.AppKey("authentication", Authentication)
LOGINS: web.AppKey[Logins] = web.AppKey("logins", Logins)
KEYS: web.AppKey[KeyRing] = web.AppKey("keys")
ROTATION: web.AppKey[KeyRotation] = web.AppKey("rotation", KeyRotation)
VERIFIER: web.AppKey[AccessTokenVerifier] = web.AppKey("verifier", AccessTokenVerifier)
INTROSPECTION: web.AppKey[Introspection] = web.AppKey("introspection", Introspection)
