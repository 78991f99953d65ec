"""Experiments against a small server in this process."""

from functools import partial
from pathlib import Path

import pytest

from loadtest.client import Account
from loadtest.experiments import EXPERIMENTS, correctness, login, survival, throughput, tokens
from loadtest.experiments.compare import compare
from loadtest.experiments.experiment import WrongAnswer
from tests.loadtest_fakes import TINY, FakeApp, context, serve


async def test_right_answers_are_counted(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await correctness.run(found)
    assert {figure.strategy for figure in found.figures} == {"anonymous", "memory", "jwt"}


async def test_another_user_s_page_stops_the_measurement(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.page_of_another = True
    async with serve(fake) as cluster:
        with pytest.raises(WrongAnswer, match="another user's"):
            await correctness.run(await context(cluster, tmp_path))


async def test_a_logout_that_kills_nothing_stops_the_measurement(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.logout_forgets = False
    async with serve(fake) as cluster:
        with pytest.raises(WrongAnswer, match="credential of before the logout"):
            await correctness.run(await context(cluster, tmp_path))


async def test_logins_have_a_cost_per_tier(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await login.run(found)
    tiers = {(f.strategy, f.labels["tier"]) for f in found.figures if f.metric == "cpu_per_login"}
    assert tiers == {(name, tier) for name in ("memory", "jwt") for tier in ("app", "total")}


async def test_a_refresh_and_an_introspection_have_a_cost_per_tier(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        found = await context(cluster, tmp_path)
        await tokens.run(found)
    costs = {(f.strategy, f.metric, f.labels["tier"]) for f in found.figures}
    assert costs == {("jwt", f"cpu_per_{w}", t) for w in ("refresh", "introspection") for t in ("app", "total")}
    assert {figure.n for figure in found.figures} == {TINY.token_rounds}
    assert fake.refreshes == (1 + TINY.token_rounds) * TINY.token_logins


async def test_an_introspection_that_does_not_know_good_tokens_is_not_measured(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.introspection_works = False
    async with serve(fake) as cluster:
        with pytest.raises(WrongAnswer, match="introspection"):
            await tokens.run(await context(cluster, tmp_path))


async def test_nobody_is_logged_out_where_nothing_dies(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await survival.run(found)
    lost = [figure for figure in found.figures if figure.metric == "logged_out"]
    assert [figure.value for figure in lost] == [0.0] * 8
    assert {figure.n for figure in lost} == {2, 4}
    assert all(figure.value == 0 for figure in found.figures if figure.metric == "http_5xx")


async def test_everybody_is_logged_out_where_the_logins_die(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        cluster.kill = lambda replica: fake.logins.clear()  # type: ignore[method-assign]
        found = await context(cluster, tmp_path)
        await survival.run(found)
    after = [f.value for f in found.figures if f.metric == "logged_out" and f.labels["fault"] == "kill -9"]
    assert after == [100.0] * 4


async def test_compare_measures_everything_and_audits_it(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        results = await compare(cluster, TINY, seed=5, logs=tmp_path)
    metrics = {figure.metric for figure in results.figures}
    assert metrics >= {
        "throughput",
        "cpu_per_request",
        "cpu_ratio",
        "null_ratio",
        "latency",
        "logged_out",
        "cpu_per_refresh",
        "floor_ratio",
        "verify_cpu",
    }
    assert results.config["seed"] == 5
    assert results.config["strategies"] == {"anonymous": "control", "memory": "session", "jwt": "token"}
    assert not [warning for warning in results.warnings if warning["rule"] == "failed_answers"]
    results.write(tmp_path)


async def test_timings_of_a_strategy_with_wrong_answers_are_refused(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        cluster.when_read = partial(setattr, fake, "page_of_another", True)
        found = await context(cluster, tmp_path)
        await throughput.run(found)
    metrics = {figure.metric for figure in found.figures if figure.strategy == "memory"}
    assert metrics == {"failed_answers"}
    (failed,) = (f for f in found.figures if (f.strategy, f.metric) == ("memory", "failed_answers"))
    assert failed.value > 0
    assert failed.labels == {"example": "another user's page"}
    assert not [figure for figure in found.figures if figure.metric in ("cpu_ratio", "null_ratio")]


async def test_every_pair_has_a_ratio_and_the_control_stands_below_the_line(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        found.strategies = [*found.strategies[1:], found.strategies[0]]  # wherever the table has the control
        await throughput.run(found)
    ratios = [(f.labels["tier"], f.strategy, f.labels["over"]) for f in found.figures if f.metric == "cpu_ratio"]
    pairs = {("memory", "anonymous"), ("jwt", "anonymous"), ("jwt", "memory")}
    assert sorted(ratios) == sorted((tier, *pair) for tier in ("app", "total") for pair in pairs)


def test_every_experiment_has_a_name_of_its_own_and_a_question() -> None:
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert all(experiment.question.endswith("?") for experiment in EXPERIMENTS)


def test_an_account_s_password_is_not_in_its_repr() -> None:
    assert "secret" not in repr(Account("name", "secret"))
