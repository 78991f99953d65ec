"""Options of the test suite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.requirements import COLLECTED
from tests.support.openapi import Recorder

TESTS = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--running",
        action="store_true",
        help="put tests/e2e/test_contract.py to the cluster that runs on the ports of .env (`docker compose up`)",
    )


@pytest.hookimpl(tryfirst=True)  # before `-m` and `-k` take tests out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[COLLECTED] = [*items]
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.xdist_group(_group(item.path.relative_to(TESTS))))


def _group(path: Path) -> str:
    """Return whom a test shares a process with: contract tests the answers seen, end-to-end tests their cluster."""
    kind = path.parts[0]
    return str(path) if kind == "unit" else kind


@pytest.fixture(scope="session")
def recorder() -> Recorder:
    """Every answer of the contract tests, compared with the OpenAPI description."""
    return Recorder()


@pytest.fixture
def answers(recorder: Recorder) -> Iterator[Recorder]:
    """The answers of this test. An answer that differs from its description fails the test."""
    before = len(recorder.faults)
    yield recorder
    assert recorder.faults[before:] == []
