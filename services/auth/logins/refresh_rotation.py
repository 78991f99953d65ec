"""Decides what happens to a family of refresh tokens when one of them is presented. All functions are pure.

Every refresh replaces the current token with a successor (RFC 9700 §4.14.2). A client that lost the response, or
several of its threads at once, may present a replaced token again for a short grace period, and always get the same
successor. After that, a replaced token must have been copied, and the family ends.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

MAX_TOKENS = 16  # kept per family: a client that refreshes more often than this within the grace period forfeits it


@dataclass(frozen=True, slots=True)
class RefreshLifetimes:
    """Seconds. *idle* counts from the last refresh, *absolute* from the login, *grace* from a token's replacement."""

    idle: float
    absolute: float
    grace: float


@dataclass(frozen=True, slots=True)
class Terms:
    """The place and lifetime of a token in its family. Together with the family, they determine its text."""

    generation: int
    issued_at: float
    expires_at: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was issued: its terms and the SHA-256 hash of its text, but not the text."""

    terms: Terms
    digest: str


@dataclass(frozen=True, slots=True)
class Family:
    """All that is known about one login. *tokens*: the current one last, after those that may be in their grace period.

    *address* and *user_agent* are the client's as last seen. They are only shown in the user's device list.
    """

    id: str
    user_id: str
    client_id: str
    ends_at: int
    tokens: tuple[Issued, ...]
    created_at: float = 0
    address: str = ""
    user_agent: str = ""

    @property
    def current(self) -> Issued:
        """The token to present next."""
        return self.tokens[-1]


class Outcome(Enum):
    """What a presented token leads to."""

    ROTATE = auto()
    """it is the current one: replace it"""
    REPEAT = auto()
    """it was replaced a moment ago: return the same successor again"""
    REUSED = auto()
    """it was replaced longer ago: end the family"""
    EXPIRED = auto()
    """it is the current one, but idle for too long, or the login is too old"""
    UNKNOWN = auto()
    """there is no such family, or no longer"""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome. *successor* is set if it is REPEAT."""

    outcome: Outcome
    successor: Issued | None = None


def decide(family: Family | None, digest: str, now: float, grace: float) -> Decision:
    """Decide what happens when the token with *digest* is presented, which is genuine and belongs to *family*."""
    if family is None:
        return Decision(Outcome.UNKNOWN)
    digests = [issued.digest for issued in family.tokens]
    if digest == family.current.digest:
        return Decision(Outcome.EXPIRED if now >= family.current.terms.expires_at else Outcome.ROTATE)
    if digest not in digests:
        return Decision(Outcome.REUSED)
    successor = family.tokens[digests.index(digest) + 1]
    if now - successor.terms.issued_at > grace:
        return Decision(Outcome.REUSED)
    return Decision(Outcome.EXPIRED) if now >= family.ends_at else Decision(Outcome.REPEAT, successor)


def first_terms(now: float, lifetimes: RefreshLifetimes) -> Terms:
    """Return the terms of a login's first token."""
    return Terms(1, now, int(now + min(lifetimes.idle, lifetimes.absolute)))


def next_terms(family: Family, now: float, lifetimes: RefreshLifetimes) -> Terms:
    """Return the terms of the current token's successor."""
    return Terms(family.current.terms.generation + 1, now, min(int(now + lifetimes.idle), family.ends_at))


def extend(family: Family, issued: Issued, grace: float) -> Family:
    """Return *family* with *issued* as its current token, without tokens whose grace period is over."""
    now = issued.terms.issued_at
    pairs = zip(family.tokens, family.tokens[1:], strict=False)
    in_grace = [token for token, successor in pairs if now - successor.terms.issued_at <= grace]
    return replace(family, tokens=(*in_grace, family.current, issued)[-MAX_TOKENS:])
