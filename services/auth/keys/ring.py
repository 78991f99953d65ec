"""The keys whose tokens are valid now, and what is published about them (RFC 7517)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import jwt

from services.auth.clock import Clock
from services.auth.keys.key import SharedKey, SigningKey
from services.auth.keys.life import PUBLISHED, KeyLife, KeyState, Policy, states
from services.common.http.problems import Unavailable


class KeyRing(Protocol):
    """The keys whose tokens are valid now. They change with time, so do not hold on to them."""

    @property
    def keys(self) -> tuple[SigningKey | SharedKey, ...]:
        """The keys, oldest first."""

    @property
    def signer(self) -> SigningKey | SharedKey:
        """The key for new tokens."""

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return what verifies the tokens of the key with this id, or None if there is no such key (a `FindKey`)."""

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK set (RFC 7517 §5)."""


@dataclass(frozen=True, slots=True)
class SharedKeyRing:
    """One shared key, about which nothing is published."""

    signer: SharedKey

    @property
    def keys(self) -> tuple[SharedKey]:
        """The key."""
        return (self.signer,)

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key if it has this id."""
        return self.signer.verifier if kid == self.signer.kid else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return an empty set: the key is secret."""
        return {"keys": []}


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as stored. *key* is None if it was removed; its life stays known."""

    life: KeyLife
    key: SigningKey | None


class StoredKeyRing:
    """The keys as last read from the store. *policy* and *clock* determine which one signs and which are published."""

    def __init__(self, policy: Policy, clock: Clock, stored: Sequence[StoredKey] = ()) -> None:
        self._policy = policy
        self._clock = clock
        self._stored = tuple(stored)

    def replace(self, stored: Sequence[StoredKey]) -> None:
        """Use *stored*, in the order of their serial numbers, from now on."""
        self._stored = tuple(stored)

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """The keys that are published."""
        return self._in_state(*PUBLISHED)

    @property
    def signer(self) -> SigningKey:
        """The key for new tokens. Raises `Unavailable` in the moment between its removal and its succession."""
        for key in self._in_state(KeyState.SIGNING):
            return key
        raise Unavailable("There is no signing key at the moment. Please try again.")

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return what verifies the tokens of the published key with this id."""
        return next((key.verifier for key in self.keys if key.kid == kid), None)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK set of the published keys."""
        return {"keys": [key.public_jwk for key in self.keys]}

    def _in_state(self, *wanted: KeyState) -> tuple[SigningKey, ...]:
        state = states([stored.life for stored in self._stored], self._clock(), self._policy)
        return tuple(stored.key for stored in self._stored if stored.key and state[stored.life.kid] in wanted)
