"""What a client needs, which strategies offer it, and what the others lack. Pure: results in, text out."""

from dataclasses import dataclass

from loadtest.results.model import Figure
from loadtest.results.numbers import duration, number, with_interval
from loadtest.results.view import View
from loadtest.verdicts.ranking import JUDGED, Relation, relation

LEEWAY_SECONDS = 10
"""How far a replica's clock may be off: tokens are accepted this long after they expire (docs/strategies)."""
KILLED = {"fault": "kill -9", "affinity": "true"}
ANY_REPLICA, LOGOUT, FORCED_LOGOUT = "any-replica", "logout", "forced-logout"
GUARANTEES = (ANY_REPLICA, LOGOUT, FORCED_LOGOUT)


@dataclass(frozen=True)
class Need:
    """A *kind* of login with all guarantees, for *clients*."""

    kind: str
    clients: str

    def met_by(self, view: View) -> list[str]:
        """Return the strategies that offer that, were measured, answered correctly and lost no login in this run."""
        return [
            name
            for name in measured(view)
            if view.kind(name) == self.kind and not missing(view, name) and not losses(view, name)
        ]


BROWSERS = Need("session", "pages in a browser")
OTHERS = Need("token", "API clients that send tokens")


def measured(view: View) -> list[str]:
    """Return the strategies with logins whose cost is known and whose answers were all correct."""
    wrong = {figure.strategy for figure in view.figures("failed_answers") if figure.value}
    return [name for name in view.results.config["strategies"] if extra(view, name) and name not in wrong]


def extra(view: View, name: str) -> Figure | None:
    """Return how much more a request costs under *name* than under the control."""
    return view.one("cpu_difference", name, over=view.control or "", intervals="", **JUDGED)


def known_extra(view: View, name: str) -> Figure:
    """Return the same for a strategy that was measured."""
    found = extra(view, name)
    assert found is not None  # noqa: S101  # see `measured`
    return found


def on_top(view: View, name: str) -> str:
    """Return that with its interval."""
    return with_interval(known_extra(view, name))


def missing(view: View, name: str) -> tuple[str, ...]:
    """Return the guarantees that *name* does not claim."""
    has = view.results.config["strategies"][name]["capabilities"]
    return tuple(one for one in GUARANTEES if one not in has)


def losses(view: View, name: str) -> Figure | None:
    """Return the share of users that a killed replica logged out, if there were any."""
    lost = view.one("users_lost", name, **KILLED)
    return lost if lost and lost.value > 0 else None


def forced_logout(view: View, name: str, metric: str = "revocation_ms") -> Figure | None:
    """Return how long a forced logout took to reach every replica, with the lifetimes of the cluster's settings."""
    return view.one(metric, name, means="forced logout", life="")


def lifetime(view: View, name: str) -> float | None:
    """Return for how many seconds a login that cannot be ended stays valid, if the settings say so."""
    settings = view.results.config["settings"]
    if view.kind(name) == "token":
        return _plus(settings.get("ACCESS_TOKEN_SECONDS"), LEEWAY_SECONDS)
    return _plus(settings.get("SESSION_ABSOLUTE_SECONDS"), 0)


def _plus(setting: str | None, more: float) -> float | None:
    try:
        return float(setting or "") + more
    except ValueError:
        return None


def shortcoming(view: View, name: str) -> str:
    """Return what a user of *name* has to accept, as the end of a sentence."""
    lacks, parts = missing(view, name), []
    if ANY_REPLICA in lacks or losses(view, name):
        parts.append(_loss(view, name))
    if LOGOUT in lacks or FORCED_LOGOUT in lacks:
        parts.append(_late(view, name))
    return " and ".join(parts)


def _loss(view: View, name: str) -> str:
    """Return the share of users that a lost replica logs out: measured or, if not, 1 in N."""
    if lost := losses(view, name):
        return f"each killed replica logs out {with_interval(lost)} of all users"
    replicas = view.results.config["replicas"]
    return f"each lost replica logs out its users, which are 1 in {number(replicas)} (not measured in this run)"


def _late(view: View, name: str) -> str:
    token, seconds = view.kind(name) == "token", lifetime(view, name)
    what = "a stolen or revoked token" if token else "a stolen cookie"
    if seconds is None:
        return f"{what} works until it expires"
    setting = f" (ACCESS_TOKEN_SECONDS + {LEEWAY_SECONDS} s)" if token else ""
    return f"{what} keeps working for up to {duration(seconds)}{setting}"


def cheapest(view: View, need: Need) -> tuple[str, ...]:
    """Return the cheapest strategy that meets *need*, and those that this run cannot show to be more expensive."""
    qualified = sorted(need.met_by(view), key=lambda name: known_extra(view, name).value)
    if not qualified:
        return ()
    first = qualified[0]
    return (first, *(name for name in qualified[1:] if relation(view, first, name) is not Relation.LESS))
