"""The buttons: what each does, and to whom."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from loadtest.cluster.faults import put_right
from loadtest.cluster.protocol import Capability, ClusterError, Process
from loadtest.console.history import Entry
from loadtest.console.stage import Stage
from loadtest.console.visitor import Visitor

MOST_REPLICAS = 6
LOGINS = ("session", "token")

Work = Callable[[Stage, Entry], Awaitable[None]]


@dataclass(frozen=True)
class Action:
    """A button. *of*: what it is pressed for. *needs*: what the engine must be able to do."""

    key: str
    of: Literal["process", "person", "cluster"]
    work: Work
    needs: Capability | None = None
    ends: Collection[str] = ()
    """kinds of strategies (session, token) under which it is to end a person's login"""


async def _kill(stage: Stage, entry: Entry) -> None:
    await asyncio.to_thread(stage.cluster.kill, entry.target)


async def _stop(stage: Stage, entry: Entry) -> None:
    await asyncio.to_thread(stage.cluster.stop, entry.target)


async def _start(stage: Stage, entry: Entry) -> None:
    await asyncio.to_thread(stage.cluster.start, entry.target)


async def _pause(stage: Stage, entry: Entry) -> None:
    await asyncio.to_thread(stage.cluster.pause, entry.target)


async def _resume(stage: Stage, entry: Entry) -> None:
    await asyncio.to_thread(stage.cluster.resume, entry.target)


async def _add_replica(stage: Stage, _: Entry) -> None:
    replicas = len(stage.cluster.replicas())
    if replicas >= MOST_REPLICAS:
        raise ClusterError(f"there are {replicas} replicas already")
    await asyncio.to_thread(stage.cluster.scale, replicas + 1)


async def _remove_replica(stage: Stage, _: Entry) -> None:
    replicas = len(stage.cluster.replicas())
    if replicas <= 1:
        raise ClusterError("this is the last replica")
    await asyncio.to_thread(stage.cluster.scale, replicas - 1)


async def _rolling_restart(stage: Stage, _: Entry) -> None:
    await asyncio.to_thread(stage.cluster.rolling_restart)


async def _forget_affinity(stage: Stage, _: Entry) -> None:
    stage.crowd.affinity = False


async def _restore_affinity(stage: Stage, _: Entry) -> None:
    stage.crowd.affinity = True


async def _rotate_keys(stage: Stage, _: Entry) -> None:
    await stage.administrator.rotate_keys()


async def _log_in_again(stage: Stage, _: Entry) -> None:
    await stage.crowd.log_in_again(one for one in stage.crowd.all_visitors() if one.logged_out or one.left)


async def _restore(stage: Stage, _: Entry) -> None:
    """Put right whatever was broken, and let everybody in again."""
    stage.crowd.affinity = True
    await asyncio.to_thread(put_right, stage.cluster, len(stage.replicas))
    for seat in sorted(stage.disabled):
        await stage.administrator.enable(_id(stage.crowd.person(seat)))
        stage.disabled.discard(seat)
    await stage.crowd.send_thieves_away()
    await stage.crowd.log_in_again(one for one in stage.crowd.all_visitors() if one.out_of_order)


async def _log_out(stage: Stage, entry: Entry) -> None:
    await asyncio.gather(*(one.log_out() for one in _person(stage, entry) if not one.strategy.is_control))


async def _force_logout(stage: Stage, entry: Entry) -> None:
    person = _person(stage, entry)
    for one in person:
        one.ended()
    await stage.administrator.log_out(_id(person))


async def _disable(stage: Stage, entry: Entry) -> None:
    person = _person(stage, entry)
    for one in person:
        one.ended()
    await stage.administrator.disable(_id(person))
    stage.disabled.add(person[0].seat)


async def _steal(stage: Stage, entry: Entry) -> None:
    await stage.crowd.steal(_person(stage, entry)[0].seat, entry)


async def _expire(stage: Stage, entry: Entry) -> None:
    """Let an app forget to refresh its tokens in time. It does so when the token has been refused."""
    for one in _person(stage, entry):
        one.keeps_fresh = False


async def _two_tabs(stage: Stage, entry: Entry) -> None:
    """Let two tabs of one browser do at once what only one should: refresh the same token, or count a visit."""
    await asyncio.gather(*(_twice(one) for one in _person(stage, entry)))


async def _twice(visitor: Visitor) -> None:
    if visitor.strategy.kind == "token":
        await asyncio.gather(visitor.refresh(0.0), visitor.refresh(0.0))
    elif "visits" in visitor.strategy.capabilities:
        await asyncio.gather(visitor.visit(), visitor.visit())


def _person(stage: Stage, entry: Entry) -> Sequence[Visitor]:
    person = stage.crowd.person(entry.seat or 0)
    if not person or not any(one.present and not one.strategy.is_control for one in person):
        raise ClusterError("they have not logged in yet")
    return person


def _id(person: Sequence[Visitor]) -> str:
    return person[0].account.id


ACTIONS: Mapping[str, Action] = {
    action.key: action
    for action in (
        Action("kill", "process", _kill, "kill"),
        Action("stop", "process", _stop, "stop"),
        Action("start", "process", _start, "stop"),
        Action("pause", "process", _pause, "pause"),
        Action("resume", "process", _resume, "pause"),
        Action("add-replica", "cluster", _add_replica, "scale"),
        Action("remove-replica", "cluster", _remove_replica, "scale"),
        Action("rolling-restart", "cluster", _rolling_restart, "stop"),
        Action("forget-affinity", "cluster", _forget_affinity),
        Action("restore-affinity", "cluster", _restore_affinity),
        Action("rotate-keys", "cluster", _rotate_keys),
        Action("log-in-again", "cluster", _log_in_again),
        Action("restore", "cluster", _restore),
        Action("steal", "person", _steal),
        Action("log-out", "person", _log_out, ends=LOGINS),
        Action("force-logout", "person", _force_logout, ends=LOGINS),
        Action("disable", "person", _disable, ends=LOGINS),
        Action("expire", "person", _expire, ends=("token",)),
        Action("two-tabs", "person", _two_tabs),
    )
}
BREAKABLE: Mapping[str, Sequence[str]] = {
    "app": ("kill", "stop", "pause"),
    "redis": ("stop", "pause"),
    "auth": ("stop", "pause"),
}
"""What can be done to a living process, by tier."""


def offered(process: Process, able: frozenset[Capability]) -> list[str]:
    """Return the actions for *process* in its state, as far as the engine is *able*."""
    breakable = BREAKABLE.get(process.tier, ())
    by_state = {"alive": breakable, "paused": ("resume",), "dead": ("start",)} if breakable else {}
    return [key for key in by_state.get(process.state, ()) if ACTIONS[key].needs in able]


def begin(
    stage: Stage, key: str, *, target: str = "", seat: int | None = None, step: int | None = None
) -> asyncio.Task[None]:
    """Press the button *key*. Raises `KeyError` for an unknown one."""
    action = ACTIONS[key]
    ends = [strategy.name for strategy in stage.strategies if strategy.kind in action.ends]
    return stage.act(key, partial(action.work, stage), target=target, seat=seat, ends=ends, step=step)
