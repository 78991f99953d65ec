"""A small app with the contract as load tests see it, which can be told to misbehave, and a plan to match."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from aiohttp import encode_basic_auth, web

from loadtest.cluster.protocol import Capability, CpuReading, Memory, Process, ProcessCpu, State, Tier
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import measured_rows
from loadtest.experiments.experiment import Context, Experiment, Silent
from loadtest.load.client import strategies_of
from loadtest.results.model import Config, Figure, Results


class FakeApp:
    """Strategies `anonymous` (control), `memory` (session) and `jwt` (token) over one dict of logins."""

    def __init__(self) -> None:
        self.accounts: dict[str, str] = {"admin": "the admin-password"}
        self.logins: dict[str, str] = {}
        self.visits: dict[str, int] = {}
        self.access_tokens: list[str] = []
        self.refreshes = 0
        self.pages = 0
        self.stall_after: int | None = None
        self.stalled = asyncio.Event()
        self.page_of_another = False
        self.logout_forgets = True
        self.refuse_access_tokens = 0
        self.renew_cookies = False
        self.breaks_down = False
        self.introspection_works = True
        self.ends_last = True
        self.fails_open = False

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application()
        app.router.add_get("/strategies", self.get_strategies)
        app.router.add_post("/auth/users", self.register)
        app.router.add_post("/auth/login", self.token_login)
        app.router.add_post("/auth/token", self.refresh)
        app.router.add_post("/auth/introspect", self.introspect)
        app.router.add_post("/auth/password", self.change_password)
        app.router.add_post("/{area}/admin/users/{id}/logout", self.end_logins)
        app.router.add_post("/{area}/admin/users/{id}/disable", self.end_logins)
        app.router.add_get("/auth/sessions", self.sessions)
        app.router.add_delete("/auth/sessions/{id}", self.end_session)
        app.router.add_post("/{s}/login", self.session_login)
        app.router.add_get("/{s}/mypage", self.mypage)
        app.router.add_post("/{s}/visits", self.visit)
        app.router.add_post("/{s}/logout", self.logout)
        return app

    async def get_strategies(self, request: web.Request) -> web.Response:
        def row(name: str, kind: str, login: str | None, *capabilities: str) -> dict[str, Any]:
            return {
                "name": name, "kind": kind, "login": login, "description": f"{name} keeps it somewhere",
                "choose_when": f"Choose it when {name} will do.", "capabilities": list(capabilities),
            }  # fmt: skip

        return web.json_response(
            [
                row("anonymous", "control", None, "any-replica"),
                row("memory", "session", "/memory/login", "visits", "logout", "forced-logout"),
                row("jwt", "token", "/auth/login", "any-replica"),
            ]
        )

    async def register(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.accounts[body["username"]] = body["password"]
        return web.json_response({"user": {"id": body["username"], "name": body["username"]}}, status=201)

    async def checked(self, request: web.Request) -> str | None:
        body = await request.json()
        return body["username"] if self.accounts.get(body["username"]) == body["password"] else None

    def credential(self, name: str) -> str:
        key = secrets.token_hex(8)
        self.logins[key] = name
        return key

    async def session_login(self, request: web.Request) -> web.Response:
        name = await self.checked(request)
        if not name:
            return web.Response(status=401)
        response = web.json_response({"user": {"id": name, "name": name}})
        response.set_cookie("session", self.credential(name))
        return response

    async def sessions(self, request: web.Request) -> web.Response:
        own = self.key(request)
        names = [key for key in self.access_tokens if self.logins.get(key) == self.logins.get(own)]
        return web.json_response({"sessions": [{"id": key, "current": key == own} for key in names]})

    async def end_session(self, request: web.Request) -> web.Response:
        self.logins.pop(request.match_info["id"], None)
        return web.Response(status=204)

    async def token_login(self, request: web.Request) -> web.Response:
        name = await self.checked(request)
        return self.tokens(name) if name else web.Response(status=401)

    async def refresh(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "refresh_token"
        self.refreshes += 1
        return self.tokens(self.logins.pop(str(form["refresh_token"])))

    async def introspect(self, request: web.Request) -> web.Response:
        right = encode_basic_auth("app", "the app-client-secret")
        form = await request.post()
        active = request.headers.get("Authorization") == right and form["token"] in self.logins
        return web.json_response({"active": active and self.introspection_works})

    async def change_password(self, request: web.Request) -> web.Response:
        name, body = self.logins[self.key(request)], await request.json()
        assert self.accounts[name] == body["old_password"]
        self.accounts[name] = body["new_password"]
        return self.ended(name)

    async def end_logins(self, request: web.Request) -> web.Response:
        assert self.logins[self.key(request)] == "admin"
        return self.ended(request.match_info["id"])

    def ended(self, name: str) -> web.Response:
        """Nothing ends where ends do not last."""
        if self.ends_last:
            self.logins = {key: who for key, who in self.logins.items() if who != name}
        return web.json_response({"ended": 1})

    def tokens(self, name: str) -> web.Response:
        access, refresh = self.credential(name), self.credential(name)
        self.access_tokens.append(access)
        return web.json_response({"access_token": access, "refresh_token": refresh, "expires_in": 300})

    def key(self, request: web.Request) -> str:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") or request.cookies.get("session", "")

    async def mypage(self, request: web.Request) -> web.Response:
        self.pages += 1
        if self.stall_after is not None and self.pages > self.stall_after:
            self.stalled.set()
            self.stall_after = None
            time.sleep(0.6)  # noqa: ASYNC251 - the whole server stands still, which is the point
        if self.breaks_down:
            return web.Response(status=500)
        strategy = request.match_info["s"]
        name = "nobody" if strategy == "anonymous" else self.logins.get(self.key(request))
        if self.fails_open and self.key(request):
            name = name or "somebody"
        if strategy == "jwt" and self.refuse_access_tokens:
            self.refuse_access_tokens -= 1
            name = None
        headers = {"X-Replica": "app-1"}
        if name is None:
            return web.json_response({"status": 401}, status=401, headers=headers)
        user = "somebody else" if self.page_of_another else name
        page = {"user": {"id": user, "name": user}, "strategy": strategy, "replica": "app-1"}
        response = web.json_response(page, headers=headers)
        if self.renew_cookies:
            self.logins.pop(self.key(request))
            response.set_cookie("session", self.credential(name))
        return response

    async def visit(self, request: web.Request) -> web.Response:
        key = self.key(request)
        self.visits[key] = self.visits.get(key, 0) + 1
        return web.json_response({"visits": self.visits[key]})

    async def logout(self, request: web.Request) -> web.Response:
        if self.logout_forgets:
            self.logins.pop(self.key(request), None)
        return web.Response(status=204)


class FakeCluster:
    """A cluster of one process, this one. *when_read* is called whenever its CPU is read."""

    def __init__(self, url: str) -> None:
        self.url = self.url_no_affinity = url
        self.when_read: Callable[[], None] = lambda: None
        self.states: dict[str, State] = {"app-1": "alive"}
        self.when_changed: Callable[[], None] = lambda: None

    engine = "this process"

    def settings(self) -> dict[str, str]:
        return {"AUTH_ALGORITHM": "EdDSA"}

    def replicas(self) -> list[str]:
        return ["app-1"]

    def replica_urls(self) -> dict[str, str]:
        return {"app-1": self.url}

    def balance_over(self, replicas: Collection[str], workers: int | None = None) -> AbstractContextManager[None]:
        """There is only one replica."""
        return nullcontext()

    def capabilities(self) -> frozenset[Capability]:
        return frozenset(get_args(Capability))

    def processes(self) -> list[Process]:
        return [Process(name, cast(Tier, name.partition("-")[0]), state) for name, state in self.states.items()]

    def become(self, name: str, state: State) -> None:
        """Only what somebody has put there can be broken: nothing else is."""
        self.states[name] = state
        self.when_changed()

    def start(self, name: str) -> None:
        self.become(name, "alive")

    def stop(self, name: str) -> None:
        self.become(name, "dead")

    def restart(self, name: str) -> None:
        """It forgets nothing."""

    def rolling_restart(self) -> None:
        """It forgets nothing."""

    def kill(self, name: str, *, stay_dead: bool = False) -> None:
        """Whoever loses a login lost it otherwise."""
        if stay_dead:
            self.become(name, "dead")

    def pause(self, name: str) -> None:
        self.become(name, "paused")

    def resume(self, name: str) -> None:
        self.become(name, "alive")

    def scale(self, replicas: int) -> None:
        """There is only one."""

    def reload_load_balancer(self) -> None:
        """There is none."""

    def delay(self, seconds: float, name: str = "redis") -> AbstractContextManager[float]:
        """There is no Redis."""
        return nullcontext(seconds)

    def fill(self, name: str = "redis") -> AbstractContextManager[None]:
        """There is no Redis."""
        return nullcontext()

    def memory(self) -> dict[str, Memory]:
        return {"app-1": Memory("app", 1)}

    def store_operations(self) -> dict[Tier, dict[str, int]]:
        return {"redis": {}}

    def wait_ready(self, seconds: float = 30) -> None:
        """It is always ready."""

    def cpu(self) -> CpuReading:
        self.when_read()
        ours = ProcessCpu("app", os.getpid(), time.monotonic(), time.process_time())
        return CpuReading({"app-1": ours, "locust": replace(ours, tier="loadgen")})

    def secret(self, name: str) -> str:
        return f"the {name}"

    def binaries(self) -> dict[str, str]:
        return {"fake": "1"}


@asynccontextmanager
async def serve(fake: FakeApp) -> AsyncIterator[FakeCluster]:
    """Serve *fake* on a free port."""
    runner = web.AppRunner(fake.app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield FakeCluster(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


TINY_TURNS = {"warm_up": 4, "requests": 10, "connections": 4, "logins": 2, "idle_seconds": 0.2}
TINY_LOAD = {"users": 2, "warmup": 0.05, "rounds": 2, "seconds": 0.2}
TINY: dict[str, dict[str, Any]] = {
    "cost": TINY_TURNS | {"cycles": 2, "rounds_direct": 1, "rounds_nginx": 1},
    "algorithms": TINY_TURNS | {"rounds": 2, "refresh_rounds": 1, "devices": 2},
    "throughput": TINY_LOAD,
    "traffic": TINY_LOAD | {"low": 0.05, "high": 0.2, "capacity_seconds": 0.2, "idle_seconds": 0.05},
    "login": {"rounds": 2, "logins": 2},
    "tokens": {"rounds": 2, "logins": 3},
    "forgery": {"logins": 1},
    "exposure": {"pairs": 1},
    "devices": {"users": 1},
    "secret_guessing": {"seconds": 0.02},
    "footprint": {"steps": 2, "tokens": 2, "logins": 2, "requests": 3, "idle_seconds": 0.0},
    "logout_race": {"races": 2, "writes": 3, "settled": 0.0},
    "store_distance": {"milliseconds": (0.0, 1.0), "pages": 3},
    "survival": {"users": 4, "after_kill_seconds": 0.0},
}
"""What differs from the quick plans."""


def tiny(*names: str) -> list[Experiment]:
    """Return the experiments of these *names*, or all, with plans that take no time."""
    chosen = [experiment for experiment in EXPERIMENTS if not names or experiment.name in names]
    return [replace(one, quick=replace(one.quick, **TINY.get(one.name, {}))) for one in chosen]


async def context(cluster: FakeCluster, logs: Path) -> Context:
    """Return the context of an experiment on *cluster*."""
    return Context(cluster, await strategies_of(cluster.url), Silent(), np.random.default_rng(1), logs)


async def measured(name: str, found: Context) -> list[Figure]:
    """Let the experiment *name* measure, and return its figures."""
    (experiment,) = tiny(name)
    async with found.stack:
        await experiment.measure(found, experiment.quick)
    kinds: dict[str, str] = {strategy.name: strategy.kind for strategy in found.strategies}
    return experiment.analyse(measured_rows(found.rows), config(**kinds) | {"replicas": len(found.cluster.replicas())})


def config(**kinds: str) -> Config:
    """The conditions of a run of strategies of these *kinds* (by name)."""
    return {
        "seed": 1,
        "replicas": 3,
        "engine": "this process",
        "plan": {"name": "quick", "users": 2},
        "strategies": {
            name.replace("_", "-"): {
                "kind": kind, "login": None, "description": "", "capabilities": [], "choose_when": "Choose it."
            }
            for name, kind in kinds.items()
        },
        "settings": {"AUTH_ALGORITHM": "EdDSA"},
    }  # fmt: skip


def results(*figures: Figure, **kinds: str) -> Results:
    """A complete run with *figures*, and strategies of these *kinds* (by name)."""
    return Results({"cpu": "a CPU"}, {"nginx": "1"}, config(**kinds), "abc", "a command", True, figures=list(figures))
