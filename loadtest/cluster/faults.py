"""Faults that end: context managers which break a cluster of any engine, and put it right.

A `with` block starts when the fault has happened (else `FaultError`), and when it is over the cluster is well again
(else `ClusterError`), however the block ended.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TypeVar

from loadtest.cluster.protocol import Cluster

T = TypeVar("T")


@contextmanager
def paused(cluster: Cluster, name: str) -> Iterator[None]:
    """Let *name* hang: connections stay open, and nothing answers."""
    with restored(cluster):
        cluster.pause(name)
        yield


@contextmanager
def killed(cluster: Cluster, name: str) -> Iterator[None]:
    """End *name* without warning, and keep it from being started again."""
    with restored(cluster):
        cluster.kill(name, stay_dead=True)
        yield


@contextmanager
def stopped(cluster: Cluster, name: str) -> Iterator[None]:
    """Let *name* end with grace, and keep it from being started again."""
    with restored(cluster):
        cluster.stop(name)
        yield


@contextmanager
def restored(cluster: Cluster) -> Iterator[None]:
    """Put right what the block pauses, stops, kills or scales: afterwards as many replicas run as before."""
    replicas = len(cluster.replicas())
    try:
        yield
    finally:
        put_right(cluster, replicas)


def put_right(cluster: Cluster, replicas: int) -> None:
    """Resume what is paused, start what is dead, run this number of *replicas*, and return when everything is ready."""
    for process in cluster.processes():
        if process.state == "paused":
            cluster.resume(process.name)
    for process in cluster.processes():
        if process.state == "dead":
            cluster.start(process.name)
    if len(cluster.replicas()) != replicas:
        cluster.scale(replicas)
    cluster.wait_ready()


@asynccontextmanager
async def in_thread(fault: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave *fault* in a thread, so that clients go on meanwhile. A cancellation leaves it, too."""
    entering = asyncio.create_task(asyncio.to_thread(fault.__enter__))
    try:
        entered = await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait({entering})
        if entering.exception() is None:
            await _leave(fault)
        raise
    try:
        yield entered
    finally:
        await _leave(fault)


async def _leave(fault: AbstractContextManager[T]) -> None:
    """Leave *fault*, even if the caller is cancelled meanwhile."""
    leaving = asyncio.create_task(asyncio.to_thread(fault.__exit__, None, None, None))
    try:
        await asyncio.shield(leaving)
    except asyncio.CancelledError:
        await asyncio.wait({leaving})
        raise
