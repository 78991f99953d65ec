"""What the report says of cost beside its answer: the floor, whether caches pay, and the verdict on claim C7."""

from collections.abc import Iterator

from loadtest.results.numbers import listed, with_interval
from loadtest.results.view import View
from loadtest.verdicts import FORBID_COST
from loadtest.verdicts.ranking import JUDGED, TOGETHER, Relation, relation

CACHED = "-cached"
"""What the name of a strategy ends with that is another one with a cache in each replica."""

WORDS = {
    Relation.LESS: "costs less than",
    Relation.MORE: "costs more than",
    Relation.ALIKE: "cannot be told apart from",
    Relation.UNKNOWN: "was not compared with",
}


def sentences(view: View) -> Iterator[str]:
    """The floor, the build of Python, bytes on the wire, and what caches save."""
    yield from _floor(view)
    yield from _python(view)
    yield from _wire(view)
    withdrawn = any(warning["rule"] in FORBID_COST for warning in view.results.warnings)
    for name in view.strategies("cpu_per_request", **JUDGED):
        if view.kind(f"{name}{CACHED}") and not withdrawn:
            yield from _cache(view, name, f"{name}{CACHED}")


def _floor(view: View) -> Iterator[str]:
    """Say what the framework costs without our code."""
    for ratio in view.figures("floor_ratio", path="direct"):
        yield (
            f"Bypassing nginx, a page under {ratio.strategy} costs {with_interval(ratio)} the CPU of a bare aiohttp "
            "server that gives the same answer."
        )


def _wire(view: View) -> Iterator[str]:
    """Say how large a request and its answer are."""
    names = view.strategies("bytes_per_request")
    sizes = [[view.one("bytes_per_request", name, way=way) for way in ("sent", "received")] for name in names]
    parts = [
        f"{view.named(name)} {round(sent.value)} and {round(received.value)}"
        for name, (sent, received) in zip(names, sizes, strict=True)
        if sent and received
    ]
    if parts:
        yield f"Bytes on the wire, of a request and of its answer with all headers: {listed(parts)}."


def _python(view: View) -> Iterator[str]:
    """Name the build of Python, on which every figure of the app depends."""
    build, measured = view.results.host.get("python_build", ""), view.figures("cpu_per_request")
    if build and measured:
        yield f"Everything here ran on Python {view.results.host.get('python', '')} ({build}): builds differ."


def _cache(view: View, plain: str, cached: str) -> Iterator[str]:
    """Say whether *cached* beats *plain* over all tiers by more than the interval that holds for all pairs."""
    found, saved = relation(view, cached, plain), view.difference(plain, cached, **JUDGED, **TOGETHER)
    if found is Relation.LESS and saved:
        yield f"The cache of {cached} pays: over all tiers, it saves {with_interval(saved)} per request."
    elif found in (Relation.MORE, Relation.ALIKE):
        yield f"The cache of {cached} does not pay: over all tiers, {cached} {WORDS[found]} {plain}."


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
    return f"CPU per request: {numbers}", f"{'; '.join(parts)}. {_with_more_replicas(view)}"


def _compare(view: View, token: str, sessions: list[str]) -> str:
    found: dict[Relation, list[str]] = {one: [] for one in WORDS}
    for session in sessions:
        found[relation(view, token, session)].append(session)
    return f"{token} " + listed([f"{WORDS[one]} {listed(names)}" for one, names in found.items() if names])


def _with_more_replicas(view: View) -> str:
    """Say what the experiment `scaling` has found."""
    found = [view.figures("scaling_ratio", name)[-1] for name in view.strategies("scaling_ratio")]
    if not found:
        return "Costs with more replicas were not measured in this run"
    ratios = listed([f"{view.named(ratio.strategy)} {with_interval(ratio)}" for ratio in found])
    return f"CPU per request with {found[0].labels['replicas']} replicas, as a ratio to that with one: {ratios}"
