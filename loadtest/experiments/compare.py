"""From a running cluster to results: experiments measure, then pure code analyses, audits and judges."""

import asyncio
import itertools
import os
import secrets
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from loadtest.cluster.faults import in_thread, restored
from loadtest.cluster.machine import git_revision, host_facts, stolen_seconds
from loadtest.cluster.protocol import Cluster, ClusterError, Unavailable
from loadtest.cluster.topology import REPOSITORY
from loadtest.experiments import CLAIMS, EXPERIMENTS
from loadtest.experiments.experiment import Context, Experiment, Progress, Silent, SpareCluster, WrongAnswer, together
from loadtest.load.children import GeneratorError
from loadtest.load.client import Strategy, strategies_of
from loadtest.results.model import NOT_MEASURED, Config, Figure, Results, Row
from loadtest.statistics.estimates import Rng
from loadtest.verdicts import judge
from loadtest.verdicts.audit import audit

INTERRUPTED = "interrupted at the keyboard"
MACHINE = "machine"
AT_ONCE = max(2, os.cpu_count() or 1)
"""How many experiments run side by side: more of them would only wait for a core, and so would the cluster."""


async def compare(
    cluster: Cluster,
    experiments: Sequence[Experiment] = EXPERIMENTS,
    progress: Progress | None = None,
    *,
    full: bool = False,
    seed: int | None = None,
    logs: Path = Path(".run/log"),
    spare_cluster: SpareCluster | None = None,
) -> Results:
    """Run *experiments* on a cluster that is ready, by their *full* or quick plans, and return audited results.

    Correctness always comes first: `WrongAnswer` means that there are no figures. *seed* decides the order of turns and
    drives the bootstrap; it is recorded. What ends a run later, a cancellation included, ends it with the results of
    what was measured: `complete` is false then. Errors before anything was measured: `ClusterError`.
    """
    seed = secrets.randbits(32) if seed is None else seed
    strategies = await strategies_of(cluster.url)
    context = Context(cluster, strategies, progress or Silent(), np.random.default_rng(seed), logs, spare_cluster)
    results = Results(
        host=host_facts(),
        binaries=cluster.binaries(),
        config=conditions(cluster, strategies, seed, _plan(experiments, full=full)),
        git_revision=git_revision(REPOSITORY),
        command=shlex.join(sys.argv),
        complete=False,
    )
    first, *others = steps = in_steps(experiments)
    context.progress.expect(_seconds(steps, full=full))
    await _measure(first, context, results, full=full)
    try:
        async with context.stack:
            for number, step in enumerate(others):
                context.progress.expect(_seconds(others[number:], full=full))
                await _measure(step, context, results, full=full)
    except asyncio.CancelledError:
        results.ended_by = INTERRUPTED
    except (ClusterError, GeneratorError, WrongAnswer) as error:
        results.ended_by = str(error)
    else:
        results.complete = True
    return analysed(results)


def analysed(results: Results) -> Results:
    """Return *results* with figures, warnings and verdicts computed again from their raw rows."""
    figures = [
        figure
        for experiment in EXPERIMENTS
        for figure in experiment.analyse(measured_rows(results.rounds.get(experiment.name, ())), results.config)
    ]
    results = replace(results, figures=[*figures, *_stolen(results.rounds.get(MACHINE, ()))])
    results = replace(results, warnings=audit(results))
    return replace(results, verdicts=judge(results, CLAIMS))


def measured_rows(rows: Sequence[Row]) -> list[Row]:
    """Return *rows* without those that say what could not be measured."""
    return [row for row in rows if row.get("kind") != NOT_MEASURED]


async def _measure(step: Sequence[Experiment], context: Context, results: Results, *, full: bool) -> None:
    """Let the experiments of a *step* record their rows in *results*, and record how much CPU was stolen meanwhile."""
    names = ", ".join(experiment.name for experiment in step)
    began, stolen = time.monotonic(), stolen_seconds()
    try:
        if len(step) == 1:
            context.rows = results.rounds.setdefault(names, [])
            await _record(step[0], context, full=full)
        else:
            context.progress.start(f"side by side: {names}", len(step))
            await _record_all(step, context, results, full=full)
    finally:
        row = {"seconds": time.monotonic() - began, "stolen": stolen_seconds() - stolen}
        results.rounds.setdefault(MACHINE, []).append({"experiment": names} | row)


async def _record_all(step: Sequence[Experiment], context: Context, results: Results, *, full: bool) -> None:
    """Let the experiments of a *step* record, a few at the same time, the longest ones first."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(experiment: Experiment, rng: Rng) -> None:
        async with free:
            rows = results.rounds.setdefault(experiment.name, [])
            await _record(experiment, replace(context, rows=rows, rng=rng, progress=Silent()), full=full)
            context.progress.advance()

    pairs = sorted(zip(step, context.rng.spawn(len(step)), strict=True), key=lambda pair: -pair[0].seconds[full])
    await together(*(one(*pair) for pair in pairs))


async def _record(experiment: Experiment, context: Context, *, full: bool) -> None:
    """Let *experiment* record its rows, if the cluster can do what it needs; afterwards the cluster is put right."""
    if lacking := experiment.needs - context.cluster.capabilities():
        context.not_measured("everything", f"{context.cluster.engine} cannot {', '.join(sorted(lacking))}")
        return
    try:
        async with in_thread(restored(context.cluster)) if experiment.disruptive else nullcontext():
            with context.attempt("the rest"):
                await experiment.measure(context, experiment.plan(full=full))
    except Unavailable as error:
        if experiment.name == EXPERIMENTS[0].name:  # which says whether answers are right at all
            raise
        context.not_measured("the rest", f"the cluster, or the machine, was overloaded: {error}")
        await asyncio.to_thread(context.cluster.wait_ready)  # or the run ends here


def _stolen(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return how much CPU others took from this machine while it measured, in percent of one core."""
    seconds = sum(row["seconds"] for row in rows)
    percent = 100 * sum(row["stolen"] for row in rows) / seconds if seconds else 0.0
    return [Figure(MACHINE, MACHINE, "steal", "%", percent, n=len(rows))] if rows else []


def conditions(cluster: Cluster, strategies: Sequence[Strategy], seed: int, plan: Mapping[str, Any]) -> Config:
    """Return what a run was like: what figures are made with, and what a reader must know."""
    return {
        "seed": seed,
        "replicas": len(cluster.replicas()),
        "engine": cluster.engine,
        "plan": dict(plan),
        "strategies": {
            strategy.name: {
                "kind": strategy.kind,
                "login": strategy.login,
                "description": strategy.description,
                "capabilities": sorted(strategy.capabilities),
                "choose_when": strategy.choose_when,
            }
            for strategy in strategies
        },
        "settings": cluster.settings(),
    }


def _plan(experiments: Sequence[Experiment], *, full: bool) -> dict[str, Any]:
    """Return how long and how often every experiment measures: those of this run, and those that it leaves out."""
    known = {experiment.name: experiment for experiment in (*EXPERIMENTS, *experiments)}
    plans = {name: asdict(one.plan(full=full)) for name, one in known.items()}
    found = {f"{name}.{part}": value for name, plan in plans.items() for part, value in plan.items()}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))  # as it will be read: lists for tuples
    return {"name": "full" if full else "quick"} | plain


def _seconds(steps: Sequence[Sequence[Experiment]], *, full: bool) -> float:
    """Return about how long *steps* take."""
    alone = ([experiment.seconds[full] for experiment in step] for step in steps)
    return sum(max(max(seconds), sum(seconds) / AT_ONCE) for seconds in alone)


def in_steps(experiments: Sequence[Experiment]) -> list[list[Experiment]]:
    """Return *experiments* in the order in which they run: right before fast, and what breaks something last.

    A step is one experiment, or all that run side by side.
    """
    first = EXPERIMENTS[0]
    if not any(experiment.name == first.name for experiment in experiments):
        experiments = [first, *experiments]
    ordered = sorted(experiments, key=lambda one: (one.name != first.name, one.disruptive, one.side_by_side))
    steps = itertools.groupby(ordered, key=lambda one: "side by side" if one.side_by_side else one.name)
    return [list(step) for _, step in steps]
