"""The floor: one replica beside a bare server, both in small."""

from functools import partial
from pathlib import Path

import pytest

from loadtest.experiments import floor
from tests.loadtest_fakes import TINY, FakeApp, context, serve


async def test_the_floor_compares_a_replica_with_a_bare_server(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        found = await context(cluster, tmp_path)
        await floor.run(found)
    costs = {f.labels["server"]: f for f in found.figures if f.metric == "direct_cpu_per_request"}
    assert costs.keys() == {"replica", "bare"}
    assert all(cost.value > 0 for cost in costs.values())
    (ratio,) = (f for f in found.figures if f.metric == "floor_ratio")
    assert (ratio.strategy, ratio.n) == ("anonymous", TINY.floor_rounds)  # a further round was warm-up
    assert ratio.value == pytest.approx(costs["replica"].value / costs["bare"].value, rel=0.5)
    served = {f.labels["server"]: f.n for f in found.figures if f.metric == "failed_answers"}
    assert 0 < served["replica"] < fake.pages
    assert served["bare"] > 0


async def test_there_is_no_floor_where_replicas_cannot_be_reached_or_nothing_is_the_control(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        cluster.replica_urls = dict  # type: ignore[method-assign]
        await floor.run(found)
        del cluster.replica_urls
        found.strategies = found.logins()
        await floor.run(found)
    assert found.figures == []


async def test_a_floor_with_wrong_answers_is_refused(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        cluster.when_read = partial(setattr, fake, "breaks_down", True)
        found = await context(cluster, tmp_path)
        await floor.run(found)
    assert {figure.metric for figure in found.figures} == {"failed_answers"}
    failed = {f.labels["server"]: f.value for f in found.figures}
    assert failed["replica"] > 0
    assert failed["bare"] == 0
