"""Every requirement has a test, and docs/requirements.md is up to date."""

from pathlib import Path

import pytest

from tests import requirements

TESTS = requirements.ROOT / "tests"


@pytest.fixture(scope="module")
def tests(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """The tests of every requirement: pytest collects them once more only where this run is about some of the files."""
    items = request.config.stash[requirements.COLLECTED]
    if {item.path for item in items} == set(TESTS.rglob("test_*.py")):
        return requirements.tests_of(items)
    return requirements.collect()


def test_every_requirement_has_a_test(tests: dict[str, list[str]]) -> None:
    assert {name for name in requirements.REQUIREMENTS if not tests[name]} == set()


def test_the_table_is_up_to_date(tests: dict[str, list[str]]) -> None:
    up_to_date = requirements.PAGE.read_text() == requirements.page(tests)
    assert up_to_date, "run `python -m tests.requirements`"


def test_the_table_s_links_lead_somewhere(tests: dict[str, list[str]]) -> None:
    files = {test.partition("::")[0] for named in tests.values() for test in named}
    assert all((requirements.ROOT / Path(file)).is_file() for file in files)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("test_j8_prefix_audience", {"J8"}),
        ("test_forged[J1 alg nOnE]", {"J1"}),
        ("# S10, T2/T3", {"S10", "T2", "T3"}),
        ("J19 T99 utf8 HS256 at10 XT4", set()),
    ],
)
def test_ids_are_found_as_words(text: str, ids: set[str]) -> None:
    assert requirements.ids_in(text) == ids
