"""Experiments against a small server in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from loadtest.cluster.protocol import ClusterError, Unavailable
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import INTERRUPTED, analysed, compare, in_steps, measured_rows
from loadtest.experiments.experiment import BasePlan, Context, Experiment, Silent, WrongAnswer, expect
from loadtest.experiments.rows import whole_rounds
from loadtest.load.children import GeneratorError
from loadtest.load.client import Account, Answer, Client, Strategy, strategies_of
from loadtest.results.model import Results, Row
from tests.unit.loadtest.fakes import TINY, FakeApp, context, measured, serve, tiny

FAST = tiny("correctness", "login", "survival")


async def test_right_answers_are_counted(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await measured("correctness", await context(cluster, tmp_path))
    assert {figure.strategy: figure.n for figure in found} == {"anonymous": 1, "memory": 10, "jwt": 5}


async def test_another_users_page_stops_the_measurement(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.page_of_another = True
    async with serve(fake) as cluster:
        with pytest.raises(WrongAnswer, match="another user's"):
            await compare(cluster, FAST, logs=tmp_path)


async def test_a_logout_that_ends_nothing_stops_the_measurement(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.logout_forgets = False
    async with serve(fake) as cluster:
        with pytest.raises(WrongAnswer, match="credential from before the logout"):
            await measured("correctness", await context(cluster, tmp_path))


async def test_logins_have_a_cost_per_tier(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await measured("login", await context(cluster, tmp_path))
    tiers = {(f.strategy, f.labels["tier"]): f for f in found if f.metric == "cpu_per_login"}
    assert tiers.keys() == {(name, tier) for name in ("memory", "jwt") for tier in ("app", "total")}
    assert all(figure.value > 0 and figure.n == TINY["login"]["rounds"] for figure in tiers.values())


async def test_a_refresh_and_an_introspection_have_a_cost_per_tier(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        found = await measured("tokens", await context(cluster, tmp_path))
    costs = {(f.strategy, f.metric, f.labels["tier"]) for f in found}
    assert costs == {("jwt", f"cpu_per_{w}", t) for w in ("refresh", "introspection") for t in ("app", "total")}
    assert {figure.n for figure in found} == {TINY["tokens"]["rounds"]}
    assert fake.refreshes == (1 + TINY["tokens"]["rounds"]) * TINY["tokens"]["logins"]


async def test_an_introspection_that_rejects_valid_tokens_is_not_measured(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.introspection_works = False
    async with serve(fake) as cluster:
        with pytest.raises(WrongAnswer, match="introspection"):
            await measured("tokens", await context(cluster, tmp_path))


async def test_requests_are_counted_in_a_closed_loop(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await measured("throughput", await context(cluster, tmp_path))
    rates = {f.strategy: f for f in found if f.metric == "throughput"}
    assert list(rates) == ["anonymous", "memory", "jwt"]  # as the cluster lists them, whoever was first
    assert all(figure.value > 10 and figure.labels == {"loop": "closed"} for figure in rates.values())


async def test_timings_of_a_strategy_with_wrong_answers_are_refused(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        cluster.when_read = partial(setattr, fake, "page_of_another", True)
        found = await measured("throughput", await context(cluster, tmp_path))
    (failed,) = (figure for figure in found if figure.strategy == "memory")
    assert failed.metric == "failed_answers"
    assert failed.value > 0
    assert failed.labels == {"example": "another user's page"}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A run of every experiment."""

    async def run() -> Results:
        async with serve(FakeApp()) as cluster:
            return await compare(cluster, tiny(), seed=5, logs=tmp_path_factory.mktemp("logs"))

    return asyncio.run(run())


def test_compare_measures_everything_and_audits_and_judges_it(whole_run: Results) -> None:
    assert whole_run.complete, whole_run.ended_by
    assert whole_run.rounds.keys() == {experiment.name for experiment in EXPERIMENTS} | {"machine"}
    metrics = {figure.metric for figure in whole_run.figures}
    assert metrics >= {"throughput", "latency", "cores_per_1000", "users_lost", "cpu_per_refresh", "cpu_ratio", "steal"}
    assert whole_run.config["seed"] == 5
    assert whole_run.config["settings"] == {"AUTH_ALGORITHM": "EdDSA"}
    assert whole_run.config["strategies"]["memory"]["choose_when"] == "Choose it when memory will do."
    assert whole_run.host["python_build"]
    assert {verdict.claim for verdict in whole_run.verdicts} >= {"C4", "C7", "P1"}
    assert not [warning for warning in whole_run.warnings if warning["rule"] == "failed_answers"]


def test_every_figure_can_be_rebuilt_from_the_stored_rows(whole_run: Results, tmp_path: Path) -> None:
    whole_run.write(tmp_path)
    bare = replace(Results.read(tmp_path / "results.json"), figures=[], warnings=[], verdicts=[])
    assert whole_run.figures
    assert analysed(bare) == whole_run


def test_an_interrupted_experiment_can_be_analysed_at_any_row(whole_run: Results) -> None:
    for experiment in EXPERIMENTS:
        rows = measured_rows(whole_run.rounds[experiment.name])
        for end in range(len(rows)):
            experiment.analyse(rows[:end], whole_run.config)


def _experiment(name: str, measure: Callable[[Context, BasePlan], Awaitable[None]]) -> Experiment:
    return Experiment(
        name=name,
        question="Is it reached?",
        quick=BasePlan(),
        full=BasePlan(),
        seconds=(1, 1),
        measure=measure,
        analyse=lambda *_: [],
    )


async def _interrupt(_: Context) -> None:
    asyncio.current_task().cancel()  # type: ignore[union-attr] # as Ctrl-C does
    await asyncio.sleep(0)


async def _fail(error: Exception, _: Context) -> None:
    raise error


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (_interrupt, INTERRUPTED),
        (partial(_fail, GeneratorError("it fell over")), "it fell over"),
        (partial(_fail, ClusterError("it is gone")), "it is gone"),
        (partial(_fail, WrongAnswer("jwt: status 500")), "jwt: status 500"),
    ],
    ids=["ctrl-c", "generator", "cluster", "answer"],
)
async def test_a_run_that_is_ended_keeps_what_it_has_measured(
    tmp_path: Path, ending: Callable[[Context], object], reason: str
) -> None:
    async def measure(context: Context, _: BasePlan) -> None:
        context.record(round=0, strategy="jwt")
        await ending(context)  # type: ignore[misc] # all of them are coroutines

    never = _experiment("never", measure)
    last = replace(never, name="last", question="Does it end?")
    async with serve(FakeApp()) as cluster:
        results = await compare(cluster, [*tiny("login"), last, never], logs=tmp_path)
    assert (results.complete, results.ended_by) == (False, reason)
    assert results.rounds["last"] == [{"round": 0, "strategy": "jwt"}]
    assert "never" not in results.rounds
    assert [figure for figure in results.figures if figure.metric == "cpu_per_login"]
    assert results.warnings[0]["rule"] == "incomplete_run"
    assert reason in results.warnings[0]["message"]


async def test_experiments_that_disturb_nobody_run_at_the_same_time(tmp_path: Path) -> None:
    drawn: dict[str, list[float]] = {}

    async def run() -> Results:
        barrier = asyncio.Barrier(2)

        async def meet(context: Context, _: BasePlan) -> None:
            context.record(strategy="jwt", drawn=float(context.rng.uniform()))
            async with asyncio.timeout(5), barrier:
                context.record(strategy="memory")

        both = [replace(_experiment(name, meet), side_by_side=True) for name in ("one", "another")]
        async with serve(FakeApp()) as cluster:
            return await compare(cluster, [both[0], *tiny("survival"), both[1]], logs=tmp_path, seed=7)

    for results in (await run(), await run()):
        assert results.complete, results.ended_by
        assert list(results.rounds) == ["correctness", "machine", "one", "another", "survival"]
        assert [row["experiment"] for row in results.rounds["machine"]] == ["correctness", "one, another", "survival"]
        for name in ("one", "another"):
            first, second = results.rounds[name]
            assert second == {"strategy": "memory"}
            drawn.setdefault(name, []).append(first["drawn"])
    assert drawn["one"][0] == drawn["one"][1] != drawn["another"][0] == drawn["another"][1]


async def test_a_few_experiments_share_the_machine_and_the_longest_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.experiments.compare.AT_ONCE", 2)
    seconds = {"short": (1, 1), "long": (9, 9), "middle": (5, 5)}
    running: list[str] = []
    seen: list[list[str]] = []

    def work(name: str) -> Callable[[Context, BasePlan], Awaitable[None]]:
        async def measure(context: Context, _: BasePlan) -> None:
            running.append(name)
            seen.append(list(running))
            await asyncio.sleep(0.05)  # time enough for the others to begin, if they could
            running.remove(name)
            context.record(strategy="jwt")

        return measure

    three = [replace(_experiment(name, work(name)), side_by_side=True, seconds=seconds[name]) for name in seconds]
    async with serve(FakeApp()) as cluster:
        results = await compare(cluster, three, logs=tmp_path)
    assert results.complete
    assert seen[:2] == [["long"], ["long", "middle"]]
    assert max(map(len, seen)) == 2
    assert seen[2][-1] == "short"


async def test_what_ends_one_of_several_experiments_ends_all_and_keeps_their_rows(tmp_path: Path) -> None:
    async def wait(context: Context, _: BasePlan) -> None:
        context.record(strategy="jwt")
        await asyncio.Event().wait()

    async def fail(context: Context, _: BasePlan) -> None:
        context.record(strategy="memory")
        raise WrongAnswer("memory: status 500")

    both = [replace(_experiment(*one), side_by_side=True) for one in (("waits", wait), ("fails", fail))]
    async with serve(FakeApp()) as cluster, asyncio.timeout(20):
        results = await compare(cluster, both, logs=tmp_path)
    assert (results.complete, results.ended_by) == (False, "memory: status 500")
    assert (results.rounds["waits"], results.rounds["fails"]) == ([{"strategy": "jwt"}], [{"strategy": "memory"}])


async def test_an_overload_ends_the_experiment_that_met_it_and_not_the_run(tmp_path: Path) -> None:
    async def refused(context: Context, _: BasePlan) -> None:
        context.record(strategy="jwt")
        expect(context.logins()[0], "login", Answer(503))

    async with serve(FakeApp()) as cluster:
        results = await compare(cluster, [_experiment("met it", refused), *tiny("survival")], logs=tmp_path)
    assert results.complete
    measured, missing = results.rounds["met it"]
    assert (measured, missing["kind"]) == ({"strategy": "jwt"}, "not measured")
    assert missing["reason"] == "the cluster, or the machine, was overloaded: memory: login: status 503, must be 200"
    assert results.rounds["survival"]


async def test_an_overload_after_which_the_cluster_is_not_ready_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(context: Context, _: BasePlan) -> None:
        expect(context.logins()[0], "login", Answer(0))

    def never(*_: object) -> None:
        raise ClusterError("app-1 is not ready")

    async with serve(FakeApp()) as cluster:
        monkeypatch.setattr(type(cluster), "wait_ready", never)
        results = await compare(cluster, [_experiment("met it", refused)], logs=tmp_path)
    assert (results.complete, results.ended_by) == (False, "app-1 is not ready")


async def test_answers_that_nobody_could_check_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(context: Context, _: BasePlan) -> None:
        expect(context.logins()[0], "login", Answer(503))

    first, *others = EXPERIMENTS
    monkeypatch.setattr("loadtest.experiments.compare.EXPERIMENTS", [replace(first, measure=refused), *others])
    async with serve(FakeApp()) as cluster:
        with pytest.raises(ClusterError, match="login: status 503"):
            await compare(cluster, tiny("survival"), logs=tmp_path)


@pytest.mark.parametrize(
    ("status", "error"), [(500, WrongAnswer), (401, WrongAnswer), (503, Unavailable), (0, Unavailable)]
)
def test_overload_is_no_wrong_answer(status: int, error: type[Exception]) -> None:
    strategy = Strategy("memory", "session", "/memory/login", frozenset())
    with pytest.raises(error, match="memory: login: status"):
        expect(strategy, "login", Answer(status))


async def test_an_interruption_before_anything_was_measured_ends_the_run(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        task = asyncio.create_task(compare(cluster, tiny(), logs=tmp_path))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cluster_that_is_not_there_is_one_clear_error() -> None:
    with pytest.raises(ClusterError, match=r"GET http://127\.0\.0\.1:9/strategies"):
        await strategies_of("http://127.0.0.1:9")


async def test_a_cluster_that_dies_while_accounts_are_opened_is_a_cluster_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(*_: object, **__: object) -> Answer:
        return Answer(0)

    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        monkeypatch.setattr(Client, "call", call)
        with pytest.raises(ClusterError, match="status none"):
            await measured("login", found)


async def test_the_remaining_time_shrinks_with_every_experiment(tmp_path: Path) -> None:
    expected: list[float] = []

    class Watched(Silent):
        def expect(self, seconds: float) -> None:
            expected.append(seconds)

    async with serve(FakeApp()) as cluster:
        await compare(cluster, FAST, Watched(), logs=tmp_path)
    correctness, survival, login = (experiment.seconds[0] for experiment in FAST)
    assert expected == [correctness + login + survival, login + survival, survival]


def test_only_whole_rounds_are_compared() -> None:
    def row(number: int, name: str) -> Row:
        return {"round": number, "strategy": name}

    rows = [row(0, "b"), row(0, "a"), row(1, "a"), row(1, "b"), row(2, "a")]
    rounds = whole_rounds(rows, ["a", "b", "c"])
    assert rounds == [{"a": row(n, "a"), "b": row(n, "b")} for n in (0, 1)]
    assert list(rounds[0]) == ["a", "b"]


def test_every_experiment_has_a_unique_name_a_question_and_a_duration() -> None:
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert all(experiment.question.endswith("?") for experiment in EXPERIMENTS)
    steps = [[experiment.seconds[0] for experiment in step] for step in in_steps(EXPERIMENTS)]
    assert sum(map(max, steps)) < 8 * 60  # the quick run
    assert not [experiment for experiment in EXPERIMENTS if experiment.side_by_side and experiment.disruptive]
    assert all(quick <= full for quick, full in (experiment.seconds for experiment in EXPERIMENTS))


def test_the_repr_of_an_account_does_not_show_its_password() -> None:
    assert "secret" not in repr(Account("name", "secret"))
