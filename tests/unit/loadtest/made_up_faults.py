"""Made-up raw rows of the experiments that break something."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from loadtest.experiments.revocation.endings import FORCED, MEANS

ENDS = {"memory": 0.0, "redis": 0.0, "redis-cached": 0.0015, "jwt-denylist": 0.004}
"""By strategy, how many seconds a login outlives its end; forever where none is named."""
LOSES_PAGES = {"redis": ("redis", "redis-cached")}
LOSES_LOGINS = {
    "redis": ("redis", "redis-cached", "jwt", "jwt-cached", "jwt-denylist"),
    "auth": ("memory", "redis", "redis-cached", "cookie", "jwt", "jwt-cached", "jwt-denylist"),
}


def survival(rng: np.random.Generator, kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    faults = ["kill -9"] * 3 + ["graceful stop", "rolling restart", "scale in", "scale out", "reload"]
    for number, fault in enumerate(faults):
        for name in kinds:
            for affinity in (True, False):
                users, stays = 12 if affinity else 5, name != "memory" or fault in ("scale out", "reload")
                before = 0 if name != "memory" or affinity else 4
                after = 0 if stays else int(rng.integers(3, 6)) if affinity else 0
                yield {"round": number, "fault": fault, "victim": f"app-{number + 1}" if number < 3 else "",
                       "strategy": name, "affinity": affinity, "users": users, "lost_before": before,
                       "lost_after": after, "state_lost": 0, "mixed_up": 0, "gets": 400, "errors": 0, "posts": 200,
                       "post_errors": 1}  # fmt: skip


def revocation(kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for number in range(2):
        for name in kinds:
            for means in MEANS:
                yield from _ending(name, means, number, ENDS.get(name), "")
    for name in (name for name, kind in kinds.items() if kind == "token"):
        yield from _ending(name, FORCED, 0, ENDS.get(name, 10.9), "1")


def _ending(name: str, means: str, number: int, last: float | None, life: str) -> Iterator[dict[str, Any]]:
    for replica in ("app-1",) if name == "memory" else ("app-1", "app-2", "app-3"):
        yield {"round": number, "life": life, "strategy": name, "means": means, "offered": True,
               "watched_seconds": 0.4, "replica": replica, "asked": 90, "accepted": 90 if last is None else 2,
               "last_seconds": 0.39 if last is None else last, "held": last is not None}  # fmt: skip


def outage(kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    faults = {"redis": ("killed", "paused", "slow", "full"), "auth": ("killed", "paused", "slow")}
    for service, fault in ((service, fault) for service, named in faults.items() for fault in named):
        hard = fault in ("killed", "paused")
        for name, kind in kinds.items():
            yield _call(service, fault, name, "my page", hard and name in LOSES_PAGES.get(service, ()))
            lost = name in LOSES_LOGINS[service] and (hard or service == "redis")
            yield _call(service, fault, name, "login", lost)
            if kind == "token":
                yield _call(service, fault, name, "refresh", lost)
                if service == "auth":
                    yield _call("keys", fault, name, "my page", hard)
    for name in (name for name, kind in kinds.items() if kind == "token"):
        for service, seconds in (("redis", 2.4), ("auth", 2.2)):
            yield {"kind": "endured", "service": service, "strategy": name, "seconds": seconds,
                   "ended": service == "auth"}  # fmt: skip


def _call(service: str, fault: str, name: str, call: str, lost: bool) -> dict[str, Any]:
    return {"kind": "call", "round": 0, "service": service, "fault": fault, "strategy": name, "call": call,
            "asked": 12, "succeeded": 0 if lost else 12, "refused": 0, "unavailable": 12 if lost else 0,
            "unanswered": 0, "slowest_seconds": 0.3 if lost else 0.02, "wrongly": 0, "tried": 30, "recovered": 0.9,
            "refused_after": 0}  # fmt: skip
