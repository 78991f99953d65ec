"""What the application owns, for handlers to find. `application` alone puts it there."""

from aiohttp import web

from services.auth.authentication import Authentication
from services.auth.logins import Logins
from services.auth.settings import AuthSettings
from services.auth.signing_keys import KeyRing

SETTINGS: web.AppKey[AuthSettings] = web.AppKey("settings", AuthSettings)
AUTHENTICATION: web.AppKey[Authentication] = web.AppKey("authentication", Authentication)
LOGINS: web.AppKey[Logins] = web.AppKey("logins", Logins)
KEYS: web.AppKey[KeyRing] = web.AppKey("keys", KeyRing)
