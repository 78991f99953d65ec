"""What the report says of cost beside its answer: the floor, and the verdict on claim C7."""

from collections.abc import Iterator

from loadtest.results.numbers import listed, with_interval
from loadtest.results.view import View
from loadtest.verdicts.ranking import JUDGED, Relation, relation

WORDS = {
    Relation.LESS: "costs less than",
    Relation.MORE: "costs more than",
    Relation.ALIKE: "cannot be told apart from",
    Relation.UNKNOWN: "was not compared with",
}


def floor(view: View) -> Iterator[str]:
    """What the framework costs without our code."""
    for ratio in view.figures("floor_ratio", path="direct"):
        yield (
            f"Bypassing nginx, a page under {ratio.strategy} costs {with_interval(ratio)} the CPU of a bare aiohttp "
            "server that gives the same answer."
        )


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
