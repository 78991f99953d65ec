"""What the users on the screen did and were told, in one sequence, and the counts that follow from it. Pure.

Every count on the screen is computed here, from the operations in the order in which they were recorded, so that
anybody who has the sequence (`--history FILE`) can compute it again.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

KEPT_ENTRIES = 300
REMEMBERED_VISITS = 4
GIVE_UP_SECONDS = 2.0
"""Without an answer for so long, somebody has suffered from what was clicked; before, the machine may just be busy."""
AT_ONCE = 2
"""Requests of one login that are in flight at the same time: two tabs."""


class Act(StrEnum):
    """What a user asked for."""

    LOGIN = "login"
    PAGE = "page"
    VISIT = "visit"
    REFRESH = "refresh"
    END = "end"  # a logout, or anything else that ends the login, whoever asked for it


class State(StrEnum):
    """What a dot shows."""

    ABSENT = "absent"  # has not logged in yet
    IN = "in"
    OUT = "out"  # the last answer was a 401
    SILENT = "silent"  # the last answer was an error, or there was none
    LOST = "lost"  # logged in, but the login's state was lost, or is somebody else's


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of the dot in *seat* of *row*, and its answer. Times are monotonic, in seconds.

    *login* names the login whose credential was sent, which is *user*'s. *status* 0: no answer came, or none so far.
    """

    act: Act
    row: str
    seat: int
    login: str
    user: str
    began: float
    ended: float
    status: int
    shown: str = ""
    """whose page it was"""
    count: int = 0
    """the number that a visit got"""
    replica: str = ""
    """who answered"""
    thief: bool = False
    """whether the one who asked had stolen the credential"""
    waiting: bool = False
    """whether the answer may still come"""

    @property
    def succeeded(self) -> bool:
        """Return whether the answer was 2xx."""
        return 200 <= self.status < 300

    @property
    def slow(self) -> bool:
        """Return whether the answer is only late, and not so late yet that the user would give up."""
        return self.waiting and self.ended - self.began < GIVE_UP_SECONDS


@dataclass
class Dot:
    """What is known of the one in a seat."""

    thief: bool = False
    state: State = State.ABSENT
    replica: str = ""
    login: str = ""
    lost: bool = False
    doubtful: int = 0
    """visits since the last acknowledged one that may or may not have been counted"""
    visits: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)], maxlen=REMEMBERED_VISITS))
    """when the last acknowledged visits ended, and their numbers"""

    def told(self, operation: Operation) -> None:
        """Learn from an answer."""
        if operation.act is Act.LOGIN:
            if operation.succeeded:
                self._logged_in(operation)
            return
        self.login = self.login or operation.login  # of the control, and of a thief, who did not log in
        if operation.act not in (Act.PAGE, Act.VISIT) or operation.login != self.login:
            return
        if operation.act is Act.VISIT:
            self._visited(operation)
        elif operation.succeeded and operation.shown != operation.user:
            self.lost = True
        self.replica = operation.replica or self.replica
        self.state = self._after(operation)

    def _logged_in(self, operation: Operation) -> None:
        self.state, self.login, self.lost, self.doubtful = State.IN, operation.login, False, 0
        self.visits = deque([(0.0, 0)], maxlen=REMEMBERED_VISITS)

    def _after(self, operation: Operation) -> State:
        if operation.succeeded:
            return State.LOST if self.lost else State.IN
        return State.OUT if operation.status == 401 else State.SILENT

    def _visited(self, operation: Operation) -> None:
        """Compare the number with those before: it must be new, above those acknowledged before it began, and possible.

        Requests that were in flight together may be acknowledged in any order.
        """
        if not operation.succeeded:
            self.doubtful += not operation.waiting and (not operation.status or operation.status >= 500)
            return
        before = max((count for ended, count in self.visits if ended <= operation.began), default=0)
        highest = max(count for _, count in self.visits)
        again = any(count == operation.count for _, count in self.visits)
        if operation.count <= before or again or operation.count > highest + self.doubtful + AT_ONCE:
            self.lost = True
        self.doubtful = 0
        self.visits.append((operation.ended, operation.count))


@dataclass(frozen=True)
class Counts:
    """How the users of one row are. Thieves are not among them."""

    users: int = 0
    logged_in: int = 0
    logged_out: int = 0
    silent: int = 0
    lost: int = 0
    thieves: int = 0
    """whose stolen credential still works"""


@dataclass
class Effect:
    """What one click did to the users of one row, as far as one knows. Seats, and seconds since the click."""

    before: frozenset[int] = frozenset()
    """who was logged in"""
    out: dict[int, float] = field(default_factory=dict)
    """who of those was told that they are not, and when first"""
    back: set[int] = field(default_factory=set)
    """who of those is in again"""
    silent: set[int] = field(default_factory=set)
    """who of those got an error or no answer"""
    lost: set[int] = field(default_factory=set)
    """who of those lost the login's state"""
    returned: set[int] = field(default_factory=set)
    """who was not logged in before, and is now"""

    def told(self, dot: Dot, operation: Operation, after: float) -> None:
        """Learn from what *dot* shows after *operation*."""
        seat = operation.seat
        if seat not in self.before:
            if dot.state in (State.IN, State.LOST):
                self.returned.add(seat)
            return
        if dot.state is State.OUT:
            self.out.setdefault(seat, after)
            self.back.discard(seat)
        elif dot.state is State.SILENT:
            if not operation.slow:
                self.silent.add(seat)
        elif seat in self.out:
            self.back.add(seat)
        if dot.state is State.LOST:
            self.lost.add(seat)


@dataclass
class Loot:
    """A stolen credential of one row. Seconds since the theft."""

    seat: int
    used: float = 0.0
    """when it last worked"""
    over: float | None = None
    """when it was first refused"""


@dataclass
class Entry:
    """A click: at *at* (Unix time), *began* (monotonic); what it was to do, with what outcome, and what it did.

    *seat*: whom it is about, if it is about somebody. *ends*: the rows where it is to end their login. *step*: of the
    tour.
    *problem*: why nothing was done, or only a part of it. *done*: whether the action itself has ended.
    """

    number: int
    at: float
    began: float
    action: str
    target: str = ""
    seat: int | None = None
    ends: Sequence[str] = ()
    step: int | None = None
    problem: str = ""
    done: bool = False
    effects: dict[str, Effect] = field(default_factory=dict)
    loot: dict[str, Loot] = field(default_factory=dict)


@dataclass(frozen=True)
class Removal:
    """A thief has left the seat."""

    row: str
    seat: int


Happening = Operation | Entry | Removal
Listener = Callable[[Happening], None]
"""Is told of everything that happens, in order."""


class History:
    """The dots of all *rows*, and the clicks. *listener* gets the whole sequence; here only its results are kept."""

    def __init__(self, rows: Collection[str], listener: Listener | None = None) -> None:
        self.dots: dict[str, dict[int, Dot]] = {row: {} for row in rows}
        self.entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self.length = 0
        """how much has happened"""
        self.revision = 0
        """grows whenever an entry changes"""
        self._listener = listener

    def record(self, operation: Operation) -> Dot:
        """Add *operation* and return the dot that it belongs to."""
        dot = self.dots[operation.row].setdefault(operation.seat, Dot(thief=operation.thief))
        shown = (dot.state, dot.lost)
        dot.told(operation)
        self._append(operation)
        if operation.thief:
            self._thief(operation)
        elif shown[0] is not State.ABSENT and (dot.state is State.SILENT or (dot.state, dot.lost) != shown):
            self._effect(operation, dot)
        return dot

    def click(self, entry: Entry) -> None:
        """Add *entry*: from now on, what happens to users is its effect."""
        entry.effects = {row: Effect(frozenset(self._logged_in(row))) for row in self.dots}
        self.entries.append(entry)
        self._append(entry)
        self.revision += 1

    def stolen(self, entry: Entry, row: str, seat: int) -> None:
        """Note that the thief in *seat* of *row* uses what *entry* stole."""
        entry.loot[row] = Loot(seat)
        self.revision += 1

    def done(self, entry: Entry, problem: str = "") -> None:
        """Note that the action of *entry* has ended, and what was wrong with it."""
        entry.done, entry.problem = True, problem
        self.revision += 1

    def remove(self, row: str, seat: int) -> None:
        """Forget a thief's dot, if there is one."""
        if self.dots[row].pop(seat, None):
            self._append(Removal(row, seat))

    def counts(self) -> dict[str, Counts]:
        """Return how the users of each row are now."""
        return {row: _counted(dots) for row, dots in self.dots.items()}

    def _effect(self, operation: Operation, dot: Dot) -> None:
        """Put down what *dot* shows now to a click."""
        if self.entries:
            entry = self._cause(operation.row, operation.seat, dot.state)
            entry.effects[operation.row].told(dot, operation, operation.ended - entry.began)
            self.revision += 1

    def _cause(self, row: str, seat: int, state: State) -> Entry:
        """Return the click that the new *state* of a dot is put down to.

        That is the last one; but a logout that somebody was to suffer is put down to the click that ordered it, however
        late it takes effect.
        """
        for entry in reversed(self.entries) if state is State.OUT else ():
            if row in entry.ends and entry.seat == seat and seat in (effect := entry.effects[row]).before:
                if seat not in effect.out:
                    return entry
                break
        return self.entries[-1]

    def _logged_in(self, row: str) -> Iterator[int]:
        for seat, dot in self.dots[row].items():
            if not dot.thief and dot.state in (State.IN, State.LOST):
                yield seat

    def _thief(self, operation: Operation) -> None:
        for entry in reversed(self.entries):
            loot = entry.loot.get(operation.row)
            if loot and loot.seat == operation.seat:
                if operation.succeeded:
                    loot.used = operation.ended - entry.began
                elif operation.status == 401 and loot.over is None:
                    loot.over = operation.ended - entry.began
                    self.revision += 1
                return

    def _append(self, one: Happening) -> None:
        self.length += 1
        if self._listener:
            self._listener(one)


def _counted(dots: Mapping[int, Dot]) -> Counts:
    states = Counter(dot.state for dot in dots.values() if not dot.thief)
    return Counts(
        users=states.total() - states[State.ABSENT],
        logged_in=states[State.IN] + states[State.LOST],
        logged_out=states[State.OUT],
        silent=states[State.SILENT],
        lost=sum(dot.lost for dot in dots.values() if not dot.thief),
        thieves=sum(dot.thief and dot.state in (State.IN, State.LOST) for dot in dots.values()),
    )
