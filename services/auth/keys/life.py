"""The life cycle of a signing key, as pure functions of the stored times.

    PENDING -> SIGNING -> RETIRING -> RETIRED        any of them -> REMOVED, in an emergency

A key is published long before it signs, so that every verifier has it by then, and for as long afterwards as its
tokens live. No process switches keys on or off: each derives their states from the same times, so all of them switch at
the same moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class KeyLife:
    """A key's stored times, in Unix seconds. *serial* orders keys that begin at the same time."""

    kid: str
    serial: int
    active_from: float
    removed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How many seconds a key is published before its first use and after its last."""

    publish: float
    retire: float


class KeyState(Enum):
    """What a key may be used for."""

    PENDING = auto()
    """published, not yet used"""
    SIGNING = auto()
    """signs; only one key at a time does"""
    RETIRING = auto()
    """no longer signs, but its tokens are still valid"""
    RETIRED = auto()
    """its last token has expired"""
    REMOVED = auto()
    """its tokens are invalid, even before they expire"""


PUBLISHED = frozenset({KeyState.PENDING, KeyState.SIGNING, KeyState.RETIRING})


@dataclass(frozen=True, slots=True)
class Promote:
    """The pending key *kid* must be used from *active_from* on."""

    kid: str
    active_from: float


@dataclass(frozen=True, slots=True)
class Create:
    """A new key must be created and used from *active_from* on."""

    active_from: float


def states(lives: Sequence[KeyLife], now: float, policy: Policy) -> dict[str, KeyState]:
    """Return every key's state. None signs if there are no keys, or if the signing key was removed (`succession`)."""
    successors = dict(pairwise(_in_order(lives)))
    return {life.kid: _state(life, successors.get(life), now, policy) for life in lives}


def rotation(lives: Sequence[KeyLife], now: float, policy: Policy) -> KeyLife | Create:
    """Return what a planned rotation needs: the pending key if there is one already, or else a new key."""
    pending = _pending(lives, now)
    return pending[0] if pending else Create(now + policy.publish)


def succession(lives: Sequence[KeyLife], now: float) -> Promote | Create | None:
    """Return which key must sign at once because none does, or None if one does.

    The successor takes the removed key's place in the order, so that no earlier key is used again, and that processes
    whose clocks lag behind accept its tokens.
    """
    begun = [life for life in _in_order(lives) if life.active_from <= now]
    if begun and begun[-1].removed_at is None:
        return None
    active_from = begun[-1].active_from if begun else now
    pending = _pending(lives, now)
    return Promote(pending[0].kid, active_from) if pending else Create(active_from)


def _state(life: KeyLife, successor: KeyLife | None, now: float, policy: Policy) -> KeyState:
    if life.removed_at is not None:
        return KeyState.REMOVED
    if life.active_from > now:
        return KeyState.PENDING
    if successor is None or successor.active_from > now:
        return KeyState.SIGNING
    return KeyState.RETIRING if now < successor.active_from + policy.retire else KeyState.RETIRED


def _pending(lives: Sequence[KeyLife], now: float) -> list[KeyLife]:
    return [life for life in _in_order(lives) if life.active_from > now and life.removed_at is None]


def _in_order(lives: Sequence[KeyLife]) -> list[KeyLife]:
    """Return the keys in the order in which they sign, without those that were removed before their first use."""
    with_a_turn = [life for life in lives if life.removed_at is None or life.removed_at >= life.active_from]
    return sorted(with_a_turn, key=lambda life: (life.active_from, life.serial))
