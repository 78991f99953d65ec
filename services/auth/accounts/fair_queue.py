"""A queue that is fair between addresses, and between the accounts behind one address.

Turns go round robin: first to the address that has waited longest for one, then to the account at that address that
has. So an address with one item is served after at most one item of every other address, however many items wait there.
When the queue is full, whoever holds the most places gives one up. So nobody can hold places that others need, but one
address may hold all of them while nobody else wants any. For the reasons, see docs/adr/0017-fair-hashing-pool.md.
"""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Holder(NamedTuple):
    """Whom an item waits for: an account at an address."""

    address: str
    account: str


class Refused(NamedTuple, Generic[T]):
    """The item that lost its place. *took_too_much* if its address or its account held more than one place."""

    item: T
    took_too_much: bool


class FairQueue(Generic[T]):
    """Holds at most *places* items. Memory is bounded, because nothing is kept about holders without an item."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: dict[str, dict[str, deque[T]]] = {}  # by address and account, each in the order of their turns

    def __len__(self) -> int:
        return sum(len(items) for _, items in self._flows())

    def put(self, holder: Holder, item: T) -> Refused[T] | None:
        """Add *item*. If the queue was full, return the item that lost its place, which may be *item* itself."""
        self._waiting.setdefault(holder.address, {}).setdefault(holder.account, deque()).append(item)
        return self._refuse_one(holder) if len(self) > self._places else None

    def take(self) -> T:
        """Remove and return the item whose turn it is. Raises StopIteration if the queue is empty."""
        address = next(iter(self._waiting))
        accounts = self._waiting.pop(address)
        account = next(iter(accounts))
        items = accounts.pop(account)
        item = items.popleft()
        if items:
            accounts[account] = items  # at the end: the others come first
        if accounts:
            self._waiting[address] = accounts
        return item

    def remove(self, holder: Holder, item: T) -> None:
        """Remove *item*, which waits for *holder*."""
        accounts = self._waiting[holder.address]
        accounts[holder.account].remove(item)
        if not accounts[holder.account]:
            del accounts[holder.account]
        if not accounts:
            del self._waiting[holder.address]

    def _flows(self) -> Iterator[tuple[Holder, deque[T]]]:
        for address, accounts in self._waiting.items():
            for account, items in accounts.items():
                yield Holder(address, account), items

    def _refuse_one(self, newcomer: Holder) -> Refused[T]:
        """Remove the newest item of whoever holds the most places; on a tie, that of *newcomer*."""
        held: Counter[tuple[str, str]] = Counter()
        for holder, items in self._flows():
            held.update({("address", holder.address): len(items), ("account", holder.account): len(items)})

        def most_first(holder: Holder) -> tuple[list[int], bool]:
            places = [held["address", holder.address], held["account", holder.account]]
            return sorted(places, reverse=True), holder == newcomer

        loser, items = max(self._flows(), key=lambda flow: most_first(flow[0]))
        item = items[-1]
        self.remove(loser, item)
        return Refused(item, took_too_much=most_first(loser)[0][0] > 1)
