"""Options of the test suite."""

from collections.abc import Iterator

import pytest

from tests.support.openapi import Recorder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--running",
        action="store_true",
        help="put tests/e2e/test_contract.py to the cluster that runs on the ports of .env (`docker compose up`)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def recorder() -> Recorder:
    """Every answer of the contract tests, compared with the OpenAPI description."""
    return Recorder()


@pytest.fixture
def answers(recorder: Recorder) -> Iterator[Recorder]:
    """Those of this test: one that is not as described fails it."""
    before = len(recorder.faults)
    yield recorder
    assert recorder.faults[before:] == []
