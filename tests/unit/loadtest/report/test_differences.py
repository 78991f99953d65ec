"""Two runs of the same code do not differ, a change beyond noise is found, and only comparable runs are compared."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from loadtest.experiments import COMPARED
from loadtest.report.differences import Change, Difference
from loadtest.report.differences import differences as differences_in
from loadtest.report.tables import difference_table
from loadtest.results.model import Figure, Results
from loadtest.statistics.estimates import centre, ratio
from tests.support.terminal import shown
from tests.unit.loadtest.fakes import results

KINDS = {"anonymous": "control"} | dict.fromkeys(("memory", "redis", "cookie"), "session") | dict.fromkeys(
    ("jwt", "jwt_cached"), "token"
)  # fmt: skip
COSTS = {"anonymous": 50.0, "memory": 55.0, "redis": 80.0, "cookie": 120.0, "jwt": 130.0, "jwt-cached": 60.0}


def simulated(seed: int, *, slower: float = 1.0, machine: float = 1.0, noisy: float = 0.03) -> Results:
    """A run with realistic noise: the turns of a round share some of it, and a tenth of all turns are disturbed.

    *slower* is a factor for jwt alone, *machine* for everything, and *noisy* the spread of the turns.
    """
    rounds = 36
    rng = np.random.default_rng(seed)
    weather = np.exp(rng.normal(0, 0.05, rounds))
    found: list[Figure] = []
    turns = {}
    for name, cost in COSTS.items():
        noise = np.exp(rng.normal(0, noisy, rounds)) * np.where(rng.random(rounds) < 0.1, 1.4, 1)
        turns[name] = list(cost * machine * (slower if name == "jwt" else 1) * weather * noise)
    for path, tier in (("nginx", "total"), ("direct", "app")):
        where = {"path": path, "tier": tier}
        for name, samples in turns.items():
            own = centre(samples)
            found.append(Figure("cost", name, "cpu_per_request", "us", own.value, own.low, own.high, rounds, where))
            if name != "anonymous":
                over = ratio(samples, turns["anonymous"])
                labels = where | {"over": "anonymous"}
                found.append(
                    Figure("cost", name, "cpu_ratio", "ratio", over.value, over.low, over.high, rounds, labels)
                )
    for name in COSTS:
        rate = centre(list(rng.normal(1000 / slower if name == "jwt" else 1000, 60, 4)))
        labels = {"loop": "closed"}
        found.append(Figure("throughput", name, "throughput", "requests/s", rate.value, rate.low, rate.high, 4, labels))
    return results(*found, **KINDS)


def differences(a: Results, b: Results) -> Difference:
    return differences_in(a, b, COMPARED)


def changed(a: Results, b: Results) -> dict[tuple[str, str], str]:
    return {(c.strategy, c.metric): c.word for c in differences(a, b).changes if c.word != "same"}


@pytest.mark.parametrize("noisy", [0.03, 1.0])
def test_runs_of_the_same_code_do_not_differ(noisy: float) -> None:
    """With 28 comparisons each, plain 95 % intervals would find changes in many pairs of noisy runs."""
    found = [changed(simulated(2 * pair, noisy=noisy), simulated(2 * pair + 1, noisy=noisy)) for pair in range(60)]
    assert sum(map(bool, found)) <= 3, found  # what 95 % for the whole family allows


@pytest.mark.parametrize(("slower", "word"), [(1.25, "worse"), (0.8, "better")])
def test_a_change_of_a_quarter_is_found_and_nothing_else(slower: float, word: str) -> None:
    for seed in range(10):
        found = changed(simulated(seed), simulated(100 + seed, slower=slower))
        assert found[("jwt", "cpu_ratio")] == word
        assert {name for name, _ in found} == {"jwt"}


def test_fewer_requests_per_second_are_worse() -> None:
    def run(rate: float) -> Results:
        return results(Figure("throughput", "jwt", "throughput", "requests/s", rate, rate - 9, rate + 9, 12))

    assert changed(run(1000), run(500)) == {("jwt", "throughput"): "worse"}
    assert changed(run(500), run(1000)) == {("jwt", "throughput"): "better"}


def test_between_machines_only_ratios_are_compared() -> None:
    here, there = simulated(1), simulated(2, machine=2.0, slower=1.3)
    there.host["cpu"] = "another CPU"
    found = differences(here, there)
    assert found.obstacles == ["another machine: cpu is a CPU in A and another CPU in B"]
    assert {change.metric for change in found.changes} == {"cpu_ratio"}
    assert found.worse
    there.host["cpu"], there.config["engine"] = "a CPU", "docker compose"
    assert differences(here, there).obstacles == ["another engine: this process in A and docker compose in B"]


def _plan(run: Results) -> None:
    run.config["plan"]["users"] = 99


def _settings(run: Results) -> None:
    run.config["settings"]["AUTH_ALGORITHM"] = "RS256"


def _replicas(run: Results) -> None:
    run.config["replicas"] = 5


def _null_test(run: Results) -> None:
    run.warnings = [{"rule": "null_test", "message": ""}]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_plan, "plan: users is 2 in A and 99 in B"),
        (_settings, "settings: AUTH_ALGORITHM is EdDSA in A and RS256 in B"),
        (_replicas, "replicas: 3 in A and 5 in B"),
        (_null_test, "B withdrew its verdicts (null_test)"),
    ],
)
def test_under_different_conditions_nothing_is_compared_and_the_reason_is_named(
    edit: Callable[[Results], None], said: str
) -> None:
    a, b = simulated(1), simulated(2, slower=2)
    edit(b)
    found = differences(a, b)
    assert found.obstacles == [said]
    assert found.changes == []


def test_different_ports_do_not_matter() -> None:
    a, b = simulated(1), simulated(2)
    a.config["settings"] |= {"LB_PORT": "20000", "LB_PORT_NO_AFFINITY": "20001"}
    b.config["settings"] |= {"LB_PORT": "30000", "LB_PORT_NO_AFFINITY": "30001"}
    assert differences(a, b).obstacles == []


def test_possible_explanations_of_a_change_are_noted() -> None:
    a, b = simulated(1), replace(simulated(2), git_revision="def+changes", complete=False, ended_by="the cluster died")
    b.binaries["nginx"] = "2"
    del b.config["strategies"]["cookie"]
    notes = differences(a, b).notes
    assert notes == [
        "B is incomplete: the cluster died",
        "code: abc in A, def+changes in B",
        "nginx: 1 in A, 2 in B",
        "only in A: cookie",
    ]


def test_a_figure_without_an_interval_is_not_compared() -> None:
    bare = Figure("throughput", "jwt", "throughput", "requests/s", 1000)
    assert differences(results(bare), results(replace(bare, value=10))).changes == []


def test_losses_are_compared_by_their_difference() -> None:
    labels = {"fault": "kill -9", "affinity": "true"}

    def run(value: float, low: float, high: float) -> Results:
        return results(Figure("survival", "redis", "users_lost", "%", value, low, high, 9, labels))

    assert changed(run(0, 0, 0), run(33, 31, 35)) == {("redis", "users_lost"): "worse"}
    assert changed(run(0, 0, 71), run(10, 0, 75)) == {}


def test_figures_with_different_rates_are_still_the_same_figure() -> None:
    def run(rate: str) -> Results:
        labels = {"tier": "total", "level": "high", "rate": rate}
        return results(Figure("traffic", "jwt", "cores_per_1000", "cores", 0.4, 0.39, 0.41, 8, labels))

    assert len(differences(run("400"), run("410")).changes) == 1


def test_the_table_says_what_changed_and_fits_a_terminal() -> None:
    text = shown(difference_table(differences(simulated(1), simulated(2, slower=1.5))))
    assert max(map(len, text.splitlines())) <= 80
    assert "worse" in text
    assert "CPU over anonymous (total, nginx)" in " ".join(text.split())
    assert "…" not in text  # nothing is cut off
    assert "figures did not change by more than noise" in text
    assert "Nothing was compared" in shown(difference_table(differences(results(), results())))


def test_a_change_reads_as_a_percentage_with_its_interval() -> None:
    found = differences(simulated(1), simulated(2, slower=1.5))
    change = next(c for c in found.changes if (c.strategy, c.metric) == ("jwt", "cpu_ratio"))
    assert isinstance(change, Change)
    assert change.low < change.change < change.high
    assert f"{100 * (change.change - 1):+.1f} %" in shown(difference_table(found))
