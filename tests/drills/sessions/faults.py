"""Drills that break something while people are logged in through the load balancer, and record their answers.

Each returns a Counter of what was seen, such as `redis: page 200`. What must never happen is in it as a line that
starts with `FAULT`: an answer that the fault does not excuse, or one that the history (`support.history`) does not
allow.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Info
from tests.drills.progress import Told, nobody
from tests.drills.sessions.crowd import RECOVERY_SECONDS, Crowd
from tests.drills.sessions.traffic import Ask, reads, writes
from tests.support.clients.strategy import http_session, make_site
from tests.support.cluster import redis_of, until_redis_answers, until_running
from tests.support.history import UNKNOWN, Act, Operation, Span, Terms, faults

SAVED_EVERY = 1.0  # deploy/redis.conf: with a killed Redis at most so many seconds of writes are lost
TRIES, LATE_SECONDS = 5, 0.01
SHORT_PAUSE = 0.01
ROTATION_SECONDS = 3.0  # until the load balancer stops using a replica that hangs (proxy_read_timeout)
CALM_SECONDS = 5.0
PROBE_SECONDS = 1.0


async def kill_replica(crowd: Crowd) -> Counter[str]:
    """Kill a replica: no GET fails, no more POSTs fail than were in flight, and nobody is logged out unnecessarily.

    Where each replica has its own logins, those of the victim are lost: all of them, and no others.
    """
    homes = {group.name: await group.homes() for group in crowd.groups if not group.shared}
    victim = random.choice([home for group in homes.values() for home in group.values()] or crowd.cluster.replicas())
    await asyncio.to_thread(until_running, crowd.cluster, victim)

    async def kill() -> None:
        await asyncio.to_thread(crowd.cluster.kill, victim)
        await asyncio.to_thread(crowd.cluster.wait_ready)

    await crowd.while_busy(kill)
    for group in crowd.groups:
        doomed = {login for login, home in homes.get(group.name, {}).items() if home == victim}
        terms = Terms(group.site.terms.bound, forgetful=doomed)
        gone = {401} if doomed else set()
        crowd.judge(group, pages={200} | gone, visits={200, *UNKNOWN} | gone, terms=terms)
        failed = sum(visit.status in UNKNOWN for visit in group.answers(Act.VISIT, crowd.since))
        if failed > (in_flight := len(group.writers)):
            crowd.seen[f"FAULT {group.name}: {failed} POSTs failed, {in_flight} were in flight"] += 1
        lost = {one.login for one in group.site.history if one.status == 401} & {one.id for one in group.stayers}
        expected = doomed & {one.id for one in group.stayers}
        crowd.seen[f"{group.name}: lost"] += len(lost)
        if lost != expected:
            crowd.seen[f"FAULT {group.name}: lost are {lost}, expected were {expected}"] += 1
    return crowd.seen


@dataclass
class Hang:
    """What a hanging replica did to others: seconds, and numbers of requests.

    *waited*: requests that began later than `ROTATION_SECONDS` after the hang and took longer than `PROBE_SECONDS`, of
    *later* such requests in all. The 99th percentiles are of all requests: those before the hang, and the later ones.
    """

    waited: int
    later: int
    p99_before: float
    p99_later: float


async def hang_replica(crowd: Crowd, seconds: float = 5.0) -> tuple[Counter[str], Hang]:
    """Let a replica hang (SIGSTOP) for the given seconds: the load balancer stops using it, and nobody else notices.

    Every now and then the load balancer tries it again with one request, which waits. Where each replica has its own
    logins, those of the victim are lost: their users are sent to another replica, which does not know them.
    """
    homes = {group.name: await group.homes() for group in crowd.groups if not group.shared}
    victim = random.choice([home for group in homes.values() for home in group.values()] or crowd.cluster.replicas())
    await asyncio.to_thread(until_running, crowd.cluster, victim)
    hung = asyncio.get_running_loop().create_future()

    async def hang() -> None:
        await asyncio.sleep(min(seconds, CALM_SECONDS))
        await asyncio.to_thread(crowd.cluster.pause, victim)
        hung.set_result(time.monotonic())
        try:
            await asyncio.sleep(ROTATION_SECONDS + seconds)
        finally:
            await asyncio.to_thread(crowd.cluster.resume, victim)
            await asyncio.to_thread(crowd.cluster.wait_ready)

    await crowd.while_busy(hang)
    for group in crowd.groups:
        doomed = {login for login, home in homes.get(group.name, {}).items() if home == victim}
        terms = Terms(group.site.terms.bound, forgetful=doomed)
        gone = {401} if doomed else set()
        crowd.judge(group, pages={200} | gone, visits={200, *UNKNOWN} | gone, terms=terms)
    return crowd.seen, _hang(crowd, hung.result(), seconds)


def _hang(crowd: Crowd, hung: float, seconds: float) -> Hang:
    answers = [a for group in crowd.groups for act in (Act.PAGE, Act.VISIT) for a in group.answers(act, crowd.since)]
    start, end = hung + ROTATION_SECONDS, hung + ROTATION_SECONDS + seconds
    before = [answer.ended - answer.began for answer in answers if answer.ended < hung]
    later = [answer.ended - answer.began for answer in answers if start <= answer.began < end]
    waited = sum(took > PROBE_SECONDS for took in later)
    return Hang(waited, len(later), float(np.percentile(before, 99)), float(np.percentile(later, 99)))


async def fill_redis(crowd: Crowd, seconds: float = 1.0) -> Counter[str]:
    """Let Redis have no room for the given seconds: a login that needs room is a 503, and what ended stays ended.

    Nobody who is logged in is logged out, and logouts work, because they only need less room.
    """
    tried: list[tuple[str, int]] = []

    async def fill() -> None:
        with crowd.cluster.fill("redis"):
            for group in crowd.groups:
                _, answer = await group.site.try_to_log_in(group.stayers[0].account)
                tried.append((group.name, answer.status))
            await asyncio.sleep(seconds)
        await crowd.redis_is_back()

    await crowd.while_busy(fill)
    for name, status in tried:
        crowd.seen[f"{name}: login while full {status}"] += 1
    for group in crowd.groups:
        crowd.judge(group, visits={200, 503} if group.needs_redis else {200})
    return crowd.seen


async def restart_replicas(crowd: Crowd) -> Counter[str]:
    """Gracefully stop and start one replica after the other: no request fails, and shared logins survive.

    A draining replica still serves the load balancer's open connections. If it alone knows a login, a logout over a new
    connection goes to another replica, which answers that it does not know the session.
    """

    async def restart() -> None:
        for replica in crowd.cluster.replicas():
            await asyncio.to_thread(crowd.cluster.restart, replica)

    await crowd.while_busy(restart, SHORT_PAUSE)  # a connection that closes under a request is rare
    for group in crowd.groups:
        statuses = {200} if group.shared else {200, 401}
        doomed = () if group.shared else {one.login for one in group.site.history}
        terms = Terms(group.site.terms.bound, forgetful=doomed)
        crowd.judge(group, pages=statuses, visits=statuses, terms=terms)
    return crowd.seen


async def kill_redis(crowd: Crowd) -> Counter[str]:
    """Kill Redis, which restarts with what it persisted. What a replica cannot know is a 503, never a logout."""
    await asyncio.to_thread(until_running, crowd.cluster, "redis")
    killed = asyncio.get_running_loop().create_future()

    async def kill() -> None:
        await asyncio.to_thread(crowd.cluster.kill, "redis")
        killed.set_result(time.monotonic())
        await crowd.redis_is_back()

    await crowd.while_busy(kill)
    _judge_without_redis(crowd, lossy=[(max(crowd.since, killed.result() - SAVED_EVERY), killed.result())])
    return crowd.seen


async def stop_redis(crowd: Crowd, seconds: float = 1.0) -> Counter[str]:
    """Let Redis hang (SIGSTOP) for the given seconds. Nothing is lost."""

    async def stop() -> None:
        await asyncio.to_thread(crowd.cluster.signal, "redis", "STOP")
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(crowd.cluster.signal, "redis", "CONT")
        await crowd.redis_is_back()

    await crowd.while_busy(stop)
    _judge_without_redis(crowd)
    return crowd.seen


def _judge_without_redis(crowd: Crowd, lossy: Sequence[Span] = ()) -> None:
    for group in crowd.groups:
        statuses = {200, 503} if group.needs_redis else {200}
        crowd.judge(group, pages=statuses, visits=statuses, terms=Terms(group.site.terms.bound, lossy))
        excused = len(faults(group.site.history)) - len(faults(group.site.history, Terms(0, lossy)))
        crowd.seen[f"{group.name}: lost as it may be"] += excused


async def refusal_times(
    cluster: LocalCluster, infos: Iterable[Info], fault: Literal["STOP", "KILL"], times: int, told: Told = nobody
) -> list[Operation]:
    """Let Redis hang or die, and at once make every call that needs it at every replica, twice; return the 503 answers.

    There are no other clients, so any delay is the replica's, unless the machine is so busy that this client is late
    itself. Such an attempt does not count and is repeated, up to `TRIES` times as many in all.
    """
    counted: list[Operation] = []
    async with http_session() as http, redis_of(cluster) as store:
        sites = [make_site(cluster, http, info, directly=True) for info in infos]
        logins = [(site, await site.log_in(await site.register())) for site in sites]
        asks = [ask for site, login in logins for ask in (*reads(site, [login]), *writes(site, [login]))]
        done = 0
        for _ in range(TRIES * times):
            await _until_all_serve(asks)
            await asyncio.to_thread(until_running, cluster, "redis")
            await asyncio.to_thread(cluster.signal, "redis", fault)
            lateness = Lateness()
            try:
                answers = [answer for _ in range(2) for answer in await asyncio.gather(*(ask() for ask in asks))]
            finally:
                late = await lateness.stop()
                if fault == "STOP":
                    await asyncio.to_thread(cluster.signal, "redis", "CONT")
            await until_redis_answers(store)
            if late <= LATE_SECONDS:
                counted += (answer for answer in answers if answer.status == 503)
                done += 1
                told(done)
            if done == times:
                break
        await _until_all_serve(asks)
        assert done == times, f"this machine is too busy to measure: {done} attempts of {TRIES * times} counted"
        assert [fault for site in sites for fault in faults(site.history, site.terms)] == []
    return counted


class Lateness:
    """Measures the longest delay of this process's event loop, in seconds."""

    def __init__(self) -> None:
        self._worst = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + 0.002
            await asyncio.sleep(0.002)
            self._worst = max(self._worst, time.monotonic() - due)

    async def stop(self) -> float:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return self._worst


async def _until_all_serve(asks: Iterable[Ask]) -> None:
    async with asyncio.timeout(RECOVERY_SECONDS):
        for ask in asks:
            while (await ask()).status == 503:
                pass
