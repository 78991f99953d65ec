"""Makes figures of the turns that `cost` recorded. Pure: rows in, figures out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from loadtest.experiments.rows import figure, whole_rounds
from loadtest.load.bare_process import NAME as BARE
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval, centre, difference, ratio
from loadtest.statistics.multiple import family_confidence

NAME = "cost"
DIRECT, NGINX = "direct", "nginx"
JUDGED = {DIRECT: "app", NGINX: "total"}
"""Of which tier ratios are taken, by path."""
SAME_BYTES = 16
"""Requests that differ by less are equally long: names of strategies and of users differ by as much."""
SAME_PACE = 1.25
"""Replicas whose CPU per request differs by less leave the load balancer alone for equally long."""
NULL = "null"
"""The second control: its connections and client process are its own."""

Round = Mapping[str, Mapping[str, float]]
"""Microseconds of CPU per request in one round: by contestant, and by tier, `total` included."""


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return costs, differences and ratios, and the tests that they rest on: null, placebo, drift."""
    control = next((name for name, facts in config["strategies"].items() if facts["kind"] == "control"), None)
    idle, found = idle_cores(rows), []
    for path in JUDGED:
        turns = whole_rounds([r for r in rows if r["kind"] == "turn" and r["path"] == path], config["strategies"])
        if not turns:
            continue
        rounds = [{name: costs(row, idle) for name, row in one.items()} for one in turns]
        found += [*_per_request(path, rounds), *_answers(path, turns)]
        if control in rounds[0]:
            found += [
                *_differences(path, rounds, control),
                *_ratios(path, rounds, control),
                *_null(path, rounds, control),
            ]
            found += _drift(path, turns, rounds, control)
        if path == NGINX:
            found += _placebo(turns, rounds, control)
    return found


def idle_cores(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return how many cores each tier uses while all is connected and nothing is sent, by the process asked."""
    cpu: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    elapsed: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        if row["kind"] == "idle":
            for tier in _tiers(row):
                cpu[row["process"]][tier] += row[f"cpu_{tier}"]
                elapsed[row["process"]][tier] += row[f"elapsed_{tier}"]
    return {name: {tier: used / elapsed[name][tier] for tier, used in tiers.items()} for name, tiers in cpu.items()}


def _tiers(row: Row) -> list[str]:
    return [name.removeprefix("cpu_") for name in row if name.startswith("cpu_")]


def costs(row: Row, idle: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return microseconds per request by tier, less what the time of the turn costs anyway."""
    cores = idle.get(row["process"], {})
    used = {tier: row[f"cpu_{tier}"] - cores.get(tier, 0.0) * row[f"elapsed_{tier}"] for tier in _tiers(row)}
    each = {tier: 1e6 * seconds / row["requests"] for tier, seconds in used.items()}
    return each | {"total": sum(each.values())}


def _of(rounds: Sequence[Round], name: str, tier: str) -> list[float]:
    return [one[name][tier] for one in rounds]


def _names(rounds: Sequence[Round]) -> list[str]:
    """Return the strategies that took turns."""
    return [name for name in rounds[0] if name not in (NULL, BARE)]


def _per_request(path: str, rounds: Sequence[Round]) -> list[Figure]:
    return [
        figure(NAME, name, "cpu_per_request", "us", centre(_of(rounds, name, tier)), path=path, tier=tier)
        for name, mine in rounds[0].items()
        if name != NULL
        for tier in mine
    ]


def _answers(path: str, turns: Sequence[Mapping[str, Row]]) -> list[Figure]:
    """Return that no answer was wrong (one ends the experiment), and how busy replicas and clients were."""
    found = []
    for name in (name for name in turns[0] if name != NULL):
        mine = [one[name] for one in turns]
        answers = Interval(0, None, None, sum(row["requests"] for row in mine))
        if path == NGINX:
            found += [
                figure(
                    NAME,
                    name,
                    "bytes_per_request",
                    "B",
                    centre([row[f"bytes_{way}"] / row["requests"] for row in mine]),
                    way=way,
                )
                for way in ("sent", "received")
            ]
        busy = centre([100 * row["cpu_app"] / row["seconds"] for row in mine])
        client = centre([100 * row["client_cpu"] / row["seconds"] for row in mine])
        found += [
            figure(NAME, name, "failed_answers", "count", answers, path=path),
            figure(NAME, name, "replica_cpu", "%", busy, path=path),
            figure(NAME, name, "client_cpu", "%", client, path=path),
        ]
    return found


def _differences(path: str, rounds: Sequence[Round], control: str) -> list[Figure]:
    """Return what each strategy costs on top of the control, tier by tier."""
    found = []
    for name in (name for name in _names(rounds) if name != control):
        for tier in rounds[0][name]:
            more = difference(_of(rounds, name, tier), _of(rounds, control, tier))
            found.append(figure(NAME, name, "cpu_difference", "us", more, path=path, tier=tier, over=control))
    return found


def _ratios(path: str, rounds: Sequence[Round], control: str) -> list[Figure]:
    """Return ratios and differences of all pairs, the control below the line, and the ratio control to bare server.

    Those with `intervals: simultaneous` all hold together with 95 % confidence: rankings rest on them.
    """
    tier = JUDGED[path]
    pairs = list(combinations(sorted(_names(rounds), key=lambda name: name != control), 2))
    together = family_confidence(max(1, len(pairs)))
    found = []
    for over, name in pairs:
        samples, labels = (_of(rounds, name, tier), _of(rounds, over, tier)), {"path": path, "tier": tier, "over": over}
        found.append(figure(NAME, name, "cpu_ratio", "ratio", ratio(*samples), **labels))
        labels["intervals"] = "simultaneous"
        wide = ratio(*samples, confidence=together), difference(*samples, confidence=together)
        found.append(figure(NAME, name, "cpu_ratio", "ratio", wide[0], **labels))
        found.append(figure(NAME, name, "cpu_difference", "us", wide[1], **labels))
    if BARE in rounds[0]:
        floor = ratio(_of(rounds, control, tier), _of(rounds, BARE, tier))
        found.append(figure(NAME, control, "floor_ratio", "ratio", floor, path=path, over=BARE))
    return found


def _null(path: str, rounds: Sequence[Round], control: str) -> list[Figure]:
    """Compare the control with itself: 1 and 0 must lie within the intervals."""
    if NULL not in rounds[0]:
        return []
    samples = [(_of(rounds, NULL, tier), _of(rounds, control, tier)) for tier in (JUDGED[path],)]
    labels = {"path": path, "tier": JUDGED[path]}
    return [
        figure(NAME, control, "null_ratio", "ratio", ratio(*samples[0]), **labels),
        figure(NAME, control, "null_difference", "us", difference(*samples[0]), **labels),
    ]


def _placebo(turns: Sequence[Mapping[str, Row]], rounds: Sequence[Round], control: str | None) -> list[Figure]:
    """Compare the load balancer's CPU between strategies for which its work is the same, byte for byte.

    Those are the ones whose requests are equally long, and whose answers are: longer ones cost it more, by design. A
    placebo is a pair whose replica takes equally long as well, and the control with itself. Where it takes longer, it
    displaces more of what the load balancer had in the caches: `displacement_ratio`.
    """
    found = []
    if control and "loadbalancer" in rounds[0].get(NULL, {}):
        found.append(_same_work("placebo_ratio", rounds, (NULL, control), control))
    names = [name for name in _names(rounds) if "loadbalancer" in rounds[0][name]]
    apps = {name: centre(_of(rounds, name, "app")).value for name in names}
    for place, name in enumerate(names):
        same = [one for one in names[:place] if _same_bytes(turns[0][name], turns[0][one])]
        paced = [one for one in same if max(apps[name], apps[one]) <= SAME_PACE * min(apps[name], apps[one])]
        if paced:
            found.append(_same_work("placebo_ratio", rounds, (name, paced[0]), name))
        elif same:
            found.append(_same_work("displacement_ratio", rounds, (name, same[0]), name))
    return found


def _same_bytes(one: Row, other: Row) -> bool:
    lengths = ((one[way] / one["requests"], other[way] / other["requests"]) for way in ("bytes_sent", "bytes_received"))
    return all(abs(ours - theirs) <= SAME_BYTES for ours, theirs in lengths)


def _same_work(metric: str, rounds: Sequence[Round], pair: tuple[str, str], strategy: str) -> Figure:
    same = ratio(*(_of(rounds, one, "loadbalancer") for one in pair))
    return figure(NAME, strategy, metric, "ratio", same, tier="loadbalancer", over=pair[1])


def _drift(path: str, turns: Sequence[Mapping[str, Row]], rounds: Sequence[Round], control: str) -> list[Figure]:
    """Compare the control's last third of the rounds with its first one, each replica's with its own."""
    by_replica: dict[str, list[float]] = defaultdict(list)
    for rows, one in zip(turns, rounds, strict=True):
        by_replica[rows[control]["replica"]].append(one[control][JUDGED[path]])
    first: list[float] = []
    last: list[float] = []
    for samples in by_replica.values():
        third = len(samples) // 3
        first, last = first + samples[:third], last + samples[len(samples) - third :]
    return [figure(NAME, control, "drift", "ratio", ratio(last, first), path=path)] if first else []
