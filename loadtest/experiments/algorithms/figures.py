"""Makes figures of the turns and refreshes that `algorithms` recorded. Pure: rows in, figures out."""

from collections.abc import Iterator, Mapping, Sequence

from loadtest.experiments.cost.figures import costs, idle_cores
from loadtest.experiments.rows import figure, whole_rounds
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval, centre, difference, ratio
from loadtest.statistics.multiple import family_confidence

NAME = "algorithms"
REFERENCE = "EdDSA"
"""The default, with which the others are compared. Its cluster has the stores."""
CHEAPEST_TO_SIGN = "HS256"

Samples = dict[tuple[str, str], list[float]]
"""Microseconds of CPU per page, round by round: by strategy and algorithm."""


def contestant(strategy: str, algorithm: str) -> str:
    """Return the name of the client that asks for the page of *strategy* at the replica of *algorithm*."""
    return f"{strategy} ({algorithm})"


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return what signing and verifying cost with each algorithm, beside the control and stores, and tokens' sizes."""
    control = next((name for name, facts in config["strategies"].items() if facts["kind"] == "control"), "")
    sizes = [
        figure(
            NAME, row["strategy"], "token_size", "B", Interval(row["size"], None, None, 1), algorithm=row["algorithm"]
        )
        for row in rows
        if row["kind"] == "token"
    ]
    algorithms = [figure.labels["algorithm"] for figure in sizes]
    order = [contestant(strategy, algorithm) for strategy in config["strategies"] for algorithm in algorithms]
    samples = _samples(rows, order)
    tokens = [who for who in samples if config["strategies"][who[0]]["kind"] == "token"]
    return [*sizes, *_pages(samples, tokens), *_over_control(samples, tokens, control), *_refreshes(rows, algorithms)]


def _samples(rows: Sequence[Row], order: Sequence[str]) -> Samples:
    """Return what pages cost the replica that was asked and Redis. Tokens alone need no Redis."""
    turns = [row for row in rows if row["kind"] == "turn"]
    idle = {
        algorithm: idle_cores([row for row in rows if row["algorithm"] == algorithm])
        for algorithm in {row["algorithm"] for row in turns}
    }
    found: Samples = {}
    for one in whole_rounds(turns, order, "contestant"):
        for row in one.values():
            tiers = costs(row, idle[row["algorithm"]])
            found.setdefault((row["strategy"], row["algorithm"]), []).append(tiers["app"] + tiers.get("redis", 0.0))
    return found


def _pages(samples: Samples, tokens: Sequence[tuple[str, str]]) -> Iterator[Figure]:
    for strategy, algorithm in tokens:
        mine = samples[strategy, algorithm]
        yield figure(NAME, strategy, "verify_page_cpu", "us", centre(mine), algorithm=algorithm)


def _over_control(samples: Samples, tokens: Sequence[tuple[str, str]], control: str) -> Iterator[Figure]:
    """Yield what tokens and stores cost on top of the control at the same replica, and how much more tokens do.

    `verify_difference` compares tokens with those of the default, `algorithm_difference` with the control and stores.
    All these intervals hold together with 95 % confidence.
    """
    extra = {
        who: [ours - theirs for ours, theirs in zip(mine, samples[control, who[1]], strict=True)]
        for who, mine in samples.items()
        if who[0] != control and (control, who[1]) in samples
    }
    stores = [who for who in extra if who not in tokens]
    confidence = family_confidence(max(1, len(extra) + len(tokens) * (len(stores) + 1) - 1))
    together = {"intervals": "simultaneous"}
    for who, mine in extra.items():
        (strategy, algorithm), page = who, samples[control, who[1]]
        labels = {"algorithm": algorithm} if who in tokens else {}
        more = centre(mine, confidence=confidence)
        yield figure(NAME, strategy, "algorithm_difference", "us", more, **labels, over=control, **together)
        yield figure(NAME, strategy, "algorithm_ratio", "ratio", ratio(samples[who], page), **labels, over=control)
    for strategy, algorithm in (who for who in tokens if who in extra):
        labels, mine = {"algorithm": algorithm}, extra[strategy, algorithm]
        for store, place in stores:
            more = difference(mine, extra[store, place], confidence=confidence)
            yield figure(NAME, strategy, "algorithm_difference", "us", more, **labels, over=store, **together)
        if algorithm != REFERENCE and (strategy, REFERENCE) in extra:
            more = difference(mine, extra[strategy, REFERENCE], confidence=confidence)
            yield figure(NAME, strategy, "verify_difference", "us", more, **labels, over=REFERENCE, **together)


def _refreshes(rows: Sequence[Row], order: Sequence[str]) -> Iterator[Figure]:
    """Yield what a refresh costs the auth service, and how much more than with the cheapest signature."""
    metered = [row for row in rows if row["kind"] == "refresh" and "cpu_auth" in row]
    rounds = whole_rounds(metered, order, "algorithm")
    cpu: dict[str, list[float]] = {}
    for one in rounds:
        for algorithm, row in one.items():
            cpu.setdefault(algorithm, []).append(1e6 * row["cpu_auth"] / row["calls"])
    for algorithm, mine in cpu.items():
        strategy = rounds[0][algorithm]["strategy"]
        yield figure(NAME, strategy, "refresh_auth_cpu", "us", centre(mine), algorithm=algorithm)
        if algorithm != CHEAPEST_TO_SIGN and CHEAPEST_TO_SIGN in cpu:
            more = difference(mine, cpu[CHEAPEST_TO_SIGN])
            labels: Mapping[str, str] = {"algorithm": algorithm, "over": CHEAPEST_TO_SIGN}
            yield figure(NAME, strategy, "sign_difference", "us", more, **labels)
