"""A store of sessions with a flaw of choice, to prove that forged cookies work. It shares no code with ours."""

import base64
import json
import secrets
from enum import Enum, auto
from typing import Any


class SessionFlaw(Enum):
    """What is wrong with it."""

    CLEAR = auto()
    """the cookie is the session, and nothing protects it"""
    PREFIX = auto()
    """only the beginning of the cookie is compared"""
    SUFFIX = auto()
    """only the end of the cookie is compared"""
    UNBOUND = auto()
    """the two halves of the cookie are looked up one by one, not together"""
    WELL_FORMED = auto()
    """any cookie of the right length will do"""


class WeakSessions:
    """Sessions that are found by their cookies, except for a flaw."""

    def __init__(self) -> None:
        self._sessions: list[str] = []

    def begin(self) -> str:
        """Begin a session and return its cookie: 22 random letters."""
        self._sessions.append(secrets.token_urlsafe(16))
        return self._sessions[-1]

    def accepts(self, cookie: str, flaw: SessionFlaw | None) -> bool:
        """Return whether *cookie* leads to a session."""
        if flaw is SessionFlaw.CLEAR and _is_json(cookie):
            return True
        return any(_matches(cookie, session, flaw) for session in self._sessions) or (
            flaw is SessionFlaw.UNBOUND and all(self._knows(half) for half in (cookie[:11], cookie[11:]))
        )

    def _knows(self, half: str) -> bool:
        return any(half in (session[:11], session[11:]) for session in self._sessions)


def _matches(cookie: str, session: str, flaw: SessionFlaw | None) -> bool:
    half = len(session) // 2
    match flaw:
        case SessionFlaw.PREFIX:
            return cookie[:half] == session[:half]
        case SessionFlaw.SUFFIX:
            return cookie[half + 1 :] == session[half + 1 :]
        case SessionFlaw.WELL_FORMED:
            return len(cookie) == len(session)
        case _:
            return cookie == session


def _is_json(cookie: str) -> bool:
    try:
        found: Any = json.loads(base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4)))
    except ValueError:
        return False
    return isinstance(found, dict)
