"""The textbook claims about sessions and JWTs: the figures that speak to each, and the verdict drawn from them."""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.numbers import listed, number, with_interval
from loadtest.results import Figure, Verdict
from loadtest.verdicts.ranking import JUDGED, Relation, relation
from loadtest.view import View

NOT_MEASURED = "not measured yet"

Judged = tuple[Verdict, bool]
"""A verdict, and whether it says anything that rests on the experiment `cost`."""


@dataclass(frozen=True)
class Rule:
    """Draws figures and a verdict from a run, or returns None if the run did not measure what it takes."""

    judge: Callable[[View], tuple[str, str] | None]
    on_cost: bool = False


def claims(view: View) -> list[Judged]:
    """Return every claim with what this run has to say about it."""
    found = []
    for claim, text in CLAIMS.items():
        rule = RULES.get(claim)
        judged = rule.judge(view) if rule else None
        figures, verdict = judged or ("", NOT_MEASURED)
        found.append((Verdict(claim, text, figures, verdict), bool(rule and judged and rule.on_cost)))
    return found


def scaling_sessions(view: View) -> tuple[str, str] | None:
    """C4 holds where kills of replicas log users out. Kills without a loss do not prove that there never is one."""
    killed = {"fault": "kill -9", "affinity": "true"}
    lost = {f.strategy: f for f in view.figures("users_lost", **killed) if view.kind(f.strategy) == "session"}
    kills = {f.strategy: f for f in view.figures("kills_with_losses", **killed) if f.strategy in lost}
    if not kills:
        return None
    figures = "users lost per kill -9: " + listed([f"{name} {with_interval(lost[name])}" for name in kills])
    losing = [_of_kills(figure) for figure in kills.values() if figure.value > 0]
    keeping = [_of_kills(figure) for figure in kills.values() if figure.value == 0]
    parts = [f"holds for {listed(losing)}" if losing else "", f"no loss seen for {listed(keeping)}" if keeping else ""]
    return figures, "; ".join(part for part in parts if part)


def _of_kills(figure: Figure) -> str:
    """Return `redis (0 of 3 kills; up to 71 % of kills could lose logins)`: what so few kills cannot exclude, too."""
    count = f"{round(figure.value * figure.n / 100)} of {figure.n} {'kill' if figure.n == 1 else 'kills'}"
    if figure.value or figure.ci_high is None:
        return f"{figure.strategy} ({count})"
    return f"{figure.strategy} ({count}; up to {number(round(figure.ci_high))} % of kills could lose logins)"


def stateless_load(view: View) -> tuple[str, str] | None:
    """C7 holds against a session strategy if the ratio to it lies wholly below 1.

    The intervals are simultaneous, since all tokens are compared with all sessions.
    """
    names = view.strategies("cpu_per_request", **JUDGED)
    tokens = [name for name in names if view.kind(name) == "token"]
    sessions = [name for name in names if view.kind(name) == "session"]
    if not tokens or not sessions:
        return None
    costs = [with_interval(f) for name in (*tokens, *sessions) for f in view.figures("cpu_per_request", name, **JUDGED)]
    numbers = listed(
        [f"{name} {cost}" for name, cost in zip((*map(view.named, tokens), *sessions), costs, strict=True)]
    )
    parts = [_compare(view, token, sessions) for token in tokens]
    return f"CPU per request: {numbers}", "; ".join(parts) + ". Scaling over 1..N replicas is not measured yet"


def _compare(view: View, token: str, sessions: list[str]) -> str:
    found: dict[Relation, list[str]] = {one: [] for one in WORDS}
    for session in sessions:
        found[relation(view, token, session)].append(session)
    return f"{token} " + listed([f"{WORDS[one]} {listed(names)}" for one, names in found.items() if names])


WORDS = {
    Relation.LESS: "costs less than",
    Relation.MORE: "costs more than",
    Relation.ALIKE: "cannot be told apart from",
    Relation.UNKNOWN: "was not compared with",
}
CLAIMS = {
    "C1": "Sessions: the server knows who is logged in and can force a logout",
    "C2": "Sessions: a client that changes its data gains nothing",
    "C3": "Sessions: memory and store load grow with users",
    "C4": "Sessions: scaling out by load balancing is hard",
    "C5": "Sessions: cookies are bound to a domain; CORS is hard",
    "C6": "Sessions: several devices need care",
    "C7": "JWT: stateless, lowers server load, scales",
    "C8": "JWT: needs no store and no auth server",
    "C9": "JWT: anybody can read it",
    "C10": "JWT: a weak secret is guessed",
    "C11": "JWT: a stolen token works until it expires",
    "C12": "Access + refresh limits the damage",
}
RULES = {"C4": Rule(scaling_sessions), "C7": Rule(stateless_load, on_cost=True)}
