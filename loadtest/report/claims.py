"""The textbook's claims (DESIGN §7): which figures speak to each, and the verdict that a rule draws from them."""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.report.numbers import listed, with_interval
from loadtest.report.view import View

NOT_MEASURED = "not yet measured"


@dataclass(frozen=True)
class Verdict:
    """One row of the claim table."""

    claim: str
    text: str
    figures: str
    verdict: str


def verdicts(view: View) -> list[Verdict]:
    """Return every claim with what this run has to say about it."""
    rows = []
    for claim, text in CLAIMS.items():
        rule = RULES.get(claim)
        figures, verdict = rule(view) if rule else ("", NOT_MEASURED)
        rows.append(Verdict(claim, text, figures, verdict))
    return rows


def scaling_sessions(view: View) -> tuple[str, str]:
    """C4 holds where killing a replica logs users out, and fails where it logs out nobody."""
    figures = view.figures("logged_out", fault="kill -9", affinity="true")
    sessions = [f for f in figures if view.kind(f.strategy) == "session"]
    if not sessions:
        return "", NOT_MEASURED
    lost = [f.strategy for f in sessions if f.value > 0]
    kept = [f.strategy for f in sessions if f.value == 0]
    numbers = "logged out after kill -9: " + listed([f"{f.strategy} {with_interval(f)}" for f in figures])
    if not lost:
        return numbers, f"not so here: {listed(kept)} lost nobody"
    if not kept:
        return numbers, f"holds: {listed(lost)} lost users"
    return numbers, f"depends on where the session lives: holds for {listed(lost)}, not for {listed(kept)}"


def stateless_load(view: View) -> tuple[str, str]:
    """C7 holds against a session strategy when the CPU ratio to it, taken within rounds, lies wholly below 1."""
    names = view.strategies("cpu_per_request", tier="total")
    tokens = [name for name in names if view.kind(name) == "token"]
    sessions = [name for name in names if view.kind(name) == "session"]
    if not tokens or not sessions:
        return "", NOT_MEASURED
    totals = [view.figures("cpu_per_request", name, tier="total")[0] for name in [*tokens, *sessions]]
    numbers = "CPU per request: " + listed([f"{f.strategy} {with_interval(f)}" for f in totals])
    parts = [f"{token} costs {_compare(view, token, sessions)}" for token in tokens]
    return numbers, "; ".join(parts) + ". Scaling over 1..N replicas is not yet measured"


def _compare(view: View, token: str, sessions: list[str]) -> str:
    words: dict[str, list[str]] = {"less than": [], "more than": [], "about the same as": []}
    for session in sessions:
        words[_relation(view, token, session)].append(session)
    return listed([f"{word} {listed(names)}" for word, names in words.items() if names])


def _relation(view: View, one: str, other: str) -> str:
    """Compare by the ratio of the two; without one nothing is known to differ."""
    ratio = view.ratio("cpu_ratio", one, other, tier="total")
    if ratio is None or ratio.ci_low is None or ratio.ci_high is None or ratio.ci_low <= 1 <= ratio.ci_high:
        return "about the same as"
    return "less than" if ratio.value < 1 else "more than"


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
RULES: dict[str, Callable[[View], tuple[str, str]]] = {"C4": scaling_sessions, "C7": stateless_load}
