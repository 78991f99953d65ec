"""The table of the first screen: a row per strategy. A column is filled as soon as its metric is measured."""

from dataclasses import dataclass

from loadtest.report.need import FORCED_LOGOUT, KILLED, extra, forced_logout, lifetime, missing
from loadtest.results.model import Figure
from loadtest.results.numbers import amount, duration, interval, number
from loadtest.results.view import View
from loadtest.verdicts.claims import NOT_MEASURED

NOTHING_TO_LOSE = "\N{EN DASH}", "no login"


@dataclass(frozen=True)
class Cell:
    """*text* is the value, *note* the small print below it. *bar*: the share of the largest value, in percent."""

    text: str
    note: str = ""
    bar: float = 0.0

    @property
    def known(self) -> bool:
        """Return whether it was measured."""
        return self.text != NOT_MEASURED


@dataclass(frozen=True)
class Row:
    """One strategy. *chosen*: whether it is the answer."""

    name: str
    strategy: str
    chosen: bool
    cost: Cell
    cores: Cell
    lost: Cell
    logout: Cell
    outage: Cell
    choose_when: str


def rows(view: View, chosen: tuple[str, ...]) -> list[Row]:
    """Return a row per strategy: the control, then the others by cost, and those without figures last."""
    names = sorted(view.results.config["strategies"], key=lambda name: _place(view, name))
    most = max((figure.value for name in names if (figure := extra(view, name))), default=0.0)
    return [
        Row(
            view.named(name),
            name,
            name in chosen,
            _cost(view, name, most),
            _cores(view, name),
            _lost(view, name),
            _logout(view, name),
            _outage(view, name),
            view.results.config["strategies"][name]["choose_when"].removeprefix("Choose it "),
        )
        for name in names
    ]


def _place(view: View, name: str) -> tuple[int, float]:
    if name == view.control:
        return 0, 0.0
    figure = extra(view, name)
    return (1, figure.value) if figure else (2, 0.0)


def _cost(view: View, name: str, most: float) -> Cell:
    """Return what a login adds to each request; for the control, what the page itself costs."""
    if name == view.control:
        page = view.one("cpu_per_request", name, path="nginx", tier="total")
        return Cell("0", f"a page: {amount(page.value, page.unit)}") if page else Cell(NOT_MEASURED)
    figure = extra(view, name)
    if figure is None:
        return Cell(NOT_MEASURED)
    return Cell(f"+{amount(figure.value, 'us')}".replace("+-", "-"), interval(figure), _percent(figure.value, most))


def _percent(value: float, most: float) -> float:
    return round(max(0.0, 100 * value / most), 1) if most > 0 else 0.0


def _cores(view: View, name: str) -> Cell:
    """Return the total bill at high traffic and, below it, at low traffic."""
    high, low = (view.one("cores_per_1000", name, tier="total", level=level) for level in ("high", "low"))
    if high is None:
        return Cell(NOT_MEASURED)
    return Cell(number(high.value), f"low: {number(low.value)}" if low else "")


def _lost(view: View, name: str) -> Cell:
    """Return the share of users that a kill logs out. No loss in a few kills does not mean that there never is one."""
    if name == view.control:
        return Cell(*NOTHING_TO_LOSE)
    lost, kills = view.one("users_lost", name, **KILLED), view.one("kills_with_losses", name, **KILLED)
    if lost is None:
        return Cell(NOT_MEASURED)
    if lost.value or kills is None:
        return Cell(f"{number(lost.value)} %", interval(lost))
    return Cell("none seen", f"in {_kills(kills.n)}{_bound(kills)}")


def _kills(number_: int) -> str:
    return f"{number_} {'kill' if number_ == 1 else 'kills'}"


def _bound(kills: Figure) -> str:
    return "" if kills.ci_high is None else f"; up to {kills.ci_high:.0f} % possible"


def _logout(view: View, name: str) -> Cell:
    """Return how long a forced logout takes to reach all replicas: the slowest measured, or the limit by settings."""
    if name == view.control:
        return Cell(*NOTHING_TO_LOSE)
    if FORCED_LOGOUT in missing(view, name):
        seconds = lifetime(view, name)
        return Cell("never", f"expires after {duration(seconds)}" if seconds else "until it expires")
    held, last = forced_logout(view, name, "revocation_held"), forced_logout(view, name)
    if held and held.value < 100:
        return Cell("does not hold", f"in {number(100 - held.value)} % of {held.n} logouts")
    if last is None:
        return Cell(NOT_MEASURED)
    logouts = f"in {last.n} {'logout' if last.n == 1 else 'logouts'}"
    return (
        Cell(amount(last.value, last.unit), f"{interval(last)} {logouts}") if last.value else Cell("at once", logouts)
    )


def _outage(view: View, name: str) -> Cell:
    """Return the share of pages that succeed without Redis; of several outages, the lowest."""
    if name == view.control:
        return Cell(*NOTHING_TO_LOSE)
    gone = [f for f in view.figures("outage_success", name, service="redis", call="my page") if _away(f)]
    worst = min(gone, key=lambda figure: figure.value, default=None)
    if worst is None:
        return Cell(NOT_MEASURED)
    logins = [f for f in view.figures("outage_success", name, service="redis", call="login") if _away(f)]
    new = min((f.value for f in logins), default=None)
    return Cell(f"{number(round(worst.value))} % of pages", "" if new is None else f"{number(round(new))} % of logins")


def _away(figure: Figure) -> bool:
    """Return whether the service did not answer at all, rather than slowly."""
    return figure.labels["fault"] in ("killed", "paused")
