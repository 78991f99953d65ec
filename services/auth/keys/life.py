"""The life of a signing key, decided here from the stored times, without any effect.

    PENDING -> SIGNING -> RETIRING -> RETIRED        any of them -> REMOVED, in an emergency

A key is published long before it signs, so that every verifier has it by then, and for as long after as its tokens
live. Nobody switches a key on or off: each process concludes from the same times, so they all do at the same moment.
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
    """Seconds that a key is published before its first use, and after its last one."""

    publish: float
    retire: float


class KeyState(Enum):
    """What a key is good for."""

    PENDING = auto()
    """published, not yet used"""
    SIGNING = auto()
    """signs; at most one key does"""
    RETIRING = auto()
    """signs no more, but its tokens are still good"""
    RETIRED = auto()
    """its last token has expired"""
    REMOVED = auto()
    """its tokens are not good, whenever they expire"""


PUBLISHED = frozenset({KeyState.PENDING, KeyState.SIGNING, KeyState.RETIRING})


@dataclass(frozen=True, slots=True)
class Promote:
    """The pending key *kid* shall be in use from *active_from* on."""

    kid: str
    active_from: float


@dataclass(frozen=True, slots=True)
class Create:
    """A new key shall be made, in use from *active_from* on."""

    active_from: float


def states(lives: Sequence[KeyLife], now: float, policy: Policy) -> dict[str, KeyState]:
    """Return every key's state. No key signs if there is none, or if the one that did was removed: see `succession`."""
    successors = dict(pairwise(_in_order(lives)))
    return {life.kid: _state(life, successors.get(life), now, policy) for life in lives}


def rotation(lives: Sequence[KeyLife], now: float, policy: Policy) -> KeyLife | Create:
    """Return what a planned rotation comes to: the pending key if one is on its way already, else a new one."""
    pending = _pending(lives, now)
    return pending[0] if pending else Create(now + policy.publish)


def succession(lives: Sequence[KeyLife], now: float) -> Promote | Create | None:
    """Return who has to sign at once because nobody does, or None if somebody does.

    The successor takes the removed key's place in the order, so that no earlier key comes back, and its tokens are good
    for processes whose clocks are behind.
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
    """Return who signs after whom. Keys that were removed before they came into use never had a turn."""
    with_a_turn = [life for life in lives if life.removed_at is None or life.removed_at >= life.active_from]
    return sorted(with_a_turn, key=lambda life: (life.active_from, life.serial))
