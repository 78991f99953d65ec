"""A history of requests and answers, and a checker that proves afterwards that no answer was wrong. No network.

Times are seconds of one monotonic clock. An answer is judged by when its request *began*: it must reflect everything
that was acknowledged before. A slow machine therefore never makes an answer wrong.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

NO_ANSWER = 0
UNKNOWN = frozenset({NO_ANSWER, 503})
"""Statuses of a write that may or may not have happened."""


class Act(StrEnum):
    """The kinds of requests."""

    LOGIN = "login"
    PAGE = "page"
    VISIT = "visit"
    END = "end"  # a logout, or anything else that ends the login, whoever asked for it


@dataclass(frozen=True, slots=True)
class Operation:
    """One request with the credential of *login*, which is *user*'s. A status of 0: no answer came."""

    act: Act
    login: str
    user: str
    began: float
    ended: float
    status: int
    shown: str = ""
    """the user that my page is about"""
    count: int = 0
    """the number that a visit got"""
    retry_after: int = 0
    """seconds, as a 503 says"""
    replica: str = ""
    """who answered"""

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


Span = tuple[float, float]


@dataclass(frozen=True)
class Terms:
    """What the system under test promises.

    *bound*: how long after an acknowledged end a login may still be accepted. *lossy*: spans whose acknowledged writes
    may be lost, as before a crash of a store that saves once a second. *forgetful*: logins that may be lost without
    having been ended.
    """

    bound: float = 0.0
    lossy: Sequence[Span] = ()
    forgetful: Collection[str] = ()

    def kept(self, operation: Operation) -> bool:
        """Return whether the acknowledgement must hold for ever."""
        return operation.succeeded and not any(start <= operation.ended <= end for start, end in self.lossy)


def faults(history: Iterable[Operation], terms: Terms = Terms()) -> list[str]:
    """Return a line for each answer that breaks a promise:

    - no login succeeds after its acknowledged end
    - no answer has another user's data
    - no acknowledged write is missing or applied twice: the visits' counts are those of a counter
    - nobody is logged out unless their login was ended
    - a 503 says when to come again
    """
    by_login: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_login[operation.login].append(operation)
    return [fault for operations in by_login.values() for fault in _of_one_login(operations, terms)]


def _of_one_login(operations: list[Operation], terms: Terms) -> Iterator[str]:
    for operation in operations:
        if operation.act is Act.PAGE and operation.succeeded and operation.shown != operation.user:
            yield f"another's data: {operation}"
        if operation.status == 503 and operation.retry_after < 1:
            yield f"503 without Retry-After: {operation}"
    yield from _comings_back(operations, terms)
    yield from _unasked_logouts(operations, terms)
    yield from _wrong_counts([operation for operation in operations if operation.act is Act.VISIT], terms)


def _comings_back(operations: list[Operation], terms: Terms) -> Iterator[str]:
    ends = (one.ended for one in operations if one.act is Act.END and terms.kept(one))
    over = min(ends, default=float("inf"))
    for operation in operations:
        used = operation.act in (Act.PAGE, Act.VISIT) and operation.succeeded
        if used and operation.began > over + terms.bound:
            yield f"came back {operation.began - over:.3f} s after its end: {operation}"


def _unasked_logouts(operations: list[Operation], terms: Terms) -> Iterator[str]:
    begun = [one for one in operations if one.act is Act.LOGIN]
    if operations[0].login in terms.forgetful or not all(terms.kept(one) for one in begun):
        return
    first_end = min((one.began for one in operations if one.act is Act.END), default=float("inf"))
    for operation in operations:
        if operation.act in (Act.PAGE, Act.VISIT) and operation.status == 401 and operation.ended < first_end:
            yield f"logged out by nobody: {operation}"


def _wrong_counts(visits: list[Operation], terms: Terms) -> Iterator[str]:
    """Compare with a counter: each write that was acknowledged before another one began is counted in the later one."""
    kept = [visit for visit in visits if terms.kept(visit)]
    ends = sorted(visit.ended for visit in kept)
    beginnings = sorted(visit.began for visit in visits if visit.succeeded or visit.status in UNKNOWN)
    for visit in visits:
        if not visit.succeeded:
            continue
        if visit.count <= (before := bisect_left(ends, visit.began)):
            yield f"a write is missing, {before} were acknowledged before: {visit}"
        if visit.count > (possible := bisect_left(beginnings, visit.ended)):
            yield f"a write happened twice, {possible} had begun: {visit}"
    yield from _same_counts(kept)
    yield from _falling_counts(kept)


def _same_counts(kept: list[Operation]) -> Iterator[str]:
    seen: dict[int, Operation] = {}
    for visit in kept:
        if visit.count in seen:
            yield f"a write is missing, two got the same count: {seen[visit.count]}, {visit}"
        seen[visit.count] = visit


def _falling_counts(kept: list[Operation]) -> Iterator[str]:
    """Yield visits whose count is not above that of a visit that had ended before they began."""
    by_end, finished, highest = sorted(kept, key=lambda visit: visit.ended), 0, 0
    for visit in sorted(kept, key=lambda visit: visit.began):
        while by_end[finished].ended < visit.began:
            highest = max(highest, by_end[finished].count)
            finished += 1
        if visit.count < highest:
            yield f"a write is missing, {highest} was told before: {visit}"
