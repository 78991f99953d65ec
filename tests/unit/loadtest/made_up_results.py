"""Results like those of a quick run: invented raw rounds, from which the real code computes figures and verdicts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
from hdrh.histogram import HdrHistogram

from loadtest.experiments.compare import analysed
from loadtest.results.model import Config, Results, StrategyFacts
from tests.unit.loadtest import made_up_faults

TIERS = ("app", "loadbalancer", "redis", "auth")
SERVER_SIDE = ["atomic-writes", "devices", "forced-logout", "logout", "visits"]
HOW: dict[str, tuple[str, list[str], str, dict[str, float]]] = {
    "anonymous": ("control", ["any-replica"], "the page is the same for everybody", {}),
    "memory": ("session", SERVER_SIDE, "there is one replica", {"app": 12}),
    "redis": ("session", [*SERVER_SIDE, "any-replica"], "you run a Redis", {"app": 48, "redis": 14}),
    "redis-cached": ("session", [*SERVER_SIDE, "any-replica"], "look-ups cost too much", {"app": 28, "redis": 0.4}),
    "cookie": ("session", ["any-replica", "visits"], "nobody else ever has to end a login", {"app": 55}),
    "jwt": ("token", ["any-replica"], "clients are not browsers", {"app": 95, "loadbalancer": 4}),
    "jwt-cached": ("token", ["any-replica"], "clients send the same token often", {"app": 9, "loadbalancer": 4}),
    "jwt-denylist": ("token", ["any-replica", "forced-logout", "logout"], "a logout must take effect",
                     {"app": 99, "loadbalancer": 4}),
}  # fmt: skip
"""By strategy: kind, capabilities, when to choose it, and microseconds per request by tier on top of `PAGE`."""
LOGINS = {name: kind for name, (kind, *_) in HOW.items() if kind != "control"}
PAGE = {"app": 52.0, "loadbalancer": 24.0, "redis": 0.2, "auth": 0.0}
BARE = 38.0
NOISE = 0.06


def config() -> Config:
    """Return the conditions of the made-up run."""
    facts: dict[str, StrategyFacts] = {
        name: {"kind": kind, "login": None if kind == "control" else f"/{name}/login",
               "description": f"What {name} does", "capabilities": capabilities,
               "choose_when": f"Choose it when {when}."}
        for name, (kind, capabilities, when, _) in HOW.items()
    }  # fmt: skip
    settings = {"AUTH_ALGORITHM": "EdDSA", "ACCESS_TOKEN_SECONDS": "300", "SESSION_ABSOLUTE_SECONDS": "43200"}
    return {
        "seed": 1,
        "replicas": 3,
        "engine": "local",
        "plan": {"name": "quick"},
        "strategies": facts,
        "settings": settings,
    }


def empty(**changes: Any) -> Results:
    """Return the results of a run that measured nothing."""
    host = {"cpu": "a CPU of this kind", "cores": 2, "date": "2025-01-31T12:00:00+00:00"}
    results = Results(host, {"nginx": "1.31.3"}, config(), "abc", "python -m loadtest compare", complete=True)
    return replace(results, **changes)


def reconfigured(results: Results, **changes: Any) -> Results:
    """Return *results* as if measured under other conditions."""
    return replace(results, config=cast(Config, {**results.config, **changes}))


def full_run(*names: str, seed: int = 1, costs: dict[str, float] | None = None) -> Results:
    """Return the results of a run of the experiments *names* (all by default); *costs* change those of the app tier."""
    rng = np.random.default_rng(seed)
    made: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "cost": lambda: list(_cost(rng, costs or {})),
        "throughput": lambda: list(_throughput(rng)),
        "traffic": lambda: list(_traffic(rng)),
        "login": lambda: list(_logins(rng)),
        "tokens": lambda: list(_tokens(rng)),
        "algorithms": lambda: list(_algorithms(rng)),
        "survival": lambda: list(made_up_faults.survival(rng, LOGINS)),
        "revocation": lambda: list(made_up_faults.revocation(LOGINS)),
        "outage": lambda: list(made_up_faults.outage(LOGINS)),
        "machine": lambda: [{"experiment": "cost", "seconds": 100.0, "stolen": 0.2}],
    }
    chosen = names or tuple(made)
    return analysed(empty(rounds={name: make() for name, make in made.items() if name in chosen}))


def _tiers(name: str, costs: dict[str, float]) -> dict[str, float]:
    """Return microseconds per request by tier."""
    more = HOW[name][3] | ({"app": costs[name]} if name in costs else {})
    return {tier: PAGE[tier] + more.get(tier, 0.0) for tier in TIERS}


def _cost(rng: np.random.Generator, costs: dict[str, float]) -> Iterator[dict[str, Any]]:
    for path in ("direct", "nginx"):
        for number in range(48):
            speed = rng.normal(1, NOISE)
            names = [*HOW, "null", *(["bare server"] if path == "direct" else [])]
            rng.shuffle(names)
            for place, name in enumerate(names):
                yield _turn(rng, path, number, place, name, costs, speed)


def _turn(
    rng: np.random.Generator, path: str, number: int, place: int, name: str, costs: dict[str, float], speed: float
) -> dict[str, Any]:
    tiers = {"app": BARE} if name == "bare server" else _tiers("anonymous" if name == "null" else name, costs)
    row: dict[str, Any] = {"kind": "turn", "path": path, "round": number, "position": place, "strategy": name,
           "replica": f"app-{1 + number % 3}", "process": f"app-{1 + number % 3}", "requests": 200, "seconds": 0.03,
           "client_cpu": 0.004, "bytes_sent": 200 * (100 + 300 * ("jwt" in name)),
           "bytes_received": 200 * 300}  # fmt: skip
    for tier in TIERS:
        away = path == "direct" and tier == "loadbalancer"
        micros = 0.0 if away else tiers.get(tier, 0.0) * speed * rng.normal(1, NOISE)
        row |= {f"cpu_{tier}": 200 * micros / 1e6, f"elapsed_{tier}": 0.03}
    return row


def _block(rng: np.random.Generator, name: str, requests: int, seconds: float, factor: float) -> dict[str, Any]:
    noise = rng.normal(factor, 0.03)
    tiers = {f"cpu_{tier}": requests * micros * noise / 1e6 for tier, micros in _tiers(name, {}).items()}
    busy = sum(tiers.values()) + 0.3 * seconds
    return {"strategy": name, "requests": requests, "answers": requests, "others": 3 * (HOW[name][0] == "token"),
            "failed": 0, "failures": "", "seconds": seconds, "elapsed": seconds, "generator_cpu": 0.3 * seconds,
            "machine_busy": busy, **tiers}  # fmt: skip


def _throughput(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for number in range(6):
        for name in HOW:
            requests = int(1e6 / sum(_tiers(name, {}).values()) * 0.4 * rng.normal(0.5, 0.02))
            yield _block(rng, name, requests, 0.4, 1.3) | {"round": number}


def _traffic(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    yield {"phase": "idle", "elapsed": 2.0, **{f"cpu_{tier}": 0.0 for tier in TIERS}}
    for level, rate, factor in (("low", 150.0, 3.1), ("high", 750.0, 1.9)):
        for number in range(3):
            for name in HOW:
                row = _block(rng, name, int(rate * 4), 4.0, factor)
                latency = rng.lognormal(np.log(700 + 3 * _tiers(name, {})["app"]), 0.3, int(rate * 4))
                yield row | {"round": number, "phase": level, "rate": rate, "latency": _histogram(latency)}


def _histogram(values: Any) -> str:
    histogram = HdrHistogram(1, 60_000_000, 2)
    for value in values:
        histogram.record_value(int(value))
    return str(histogram.encode(), "ascii")


def _logins(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for number in range(6):
        for name in (name for name in HOW if HOW[name][0] != "control"):
            tiers = {"app": 200.0, "loadbalancer": 60.0, "redis": 40.0, "auth": 62_000.0}
            cpu = {f"cpu_{tier}": 8 * micros * rng.normal(1, 0.02) / 1e6 for tier, micros in tiers.items()}
            yield {"round": number, "strategy": name, "logins": 8, "seconds": 0.4, **cpu}


def _tokens(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for number in range(12):
        for what, auth in (("refresh", 900.0), ("introspection", 350.0)):
            cpu = {"cpu_auth": 48 * auth * rng.normal(1, 0.02) / 1e6, "cpu_loadbalancer": 48 * 30 / 1e6}
            yield {"round": number, "what": what, "strategy": "jwt", "calls": 48, **cpu}


def _algorithms(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """HS256 costs less than redis and more than memory; RS256 and the others cost more than both."""
    verify = {"HS256": (30.0, 350, 880), "RS256-2048": (70.0, 660, 1500), "EdDSA": (95.0, 400, 910)}
    for name, (_, size, _) in verify.items():
        yield {"kind": "token", "strategy": "jwt", "algorithm": name, "size": size}
    asked = [(strategy, name) for name in verify for strategy in ("jwt", "anonymous")]
    asked += [(store, "EdDSA") for store in ("memory", "redis", "redis-cached")]
    for number in range(16):
        for name, (_, _, sign) in verify.items():
            yield {"kind": "refresh", "round": number, "strategy": "jwt", "algorithm": name, "calls": 8,
                   "cpu_auth": 8 * sign * rng.normal(1, 0.01) / 1e6}  # fmt: skip
        for strategy, name in asked:
            tiers = {"app": verify[name][0]} if strategy == "jwt" else HOW[strategy][3]
            used = {f"cpu_{tier}": 200 * (PAGE[tier] + tiers.get(tier, 0.0)) * rng.normal(1, 0.02) / 1e6
                    for tier in ("app", "redis")}  # fmt: skip
            yield {"kind": "turn", "round": number, "strategy": strategy, "algorithm": name, "process": "app-1",
                   "contestant": f"{strategy} ({name})", "requests": 200, **used, "elapsed_app": 0.03,
                   "elapsed_redis": 0.03}  # fmt: skip
