"""Options of the test suite."""

from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.requirements import COLLECTED
from tests.support.openapi import Recorder


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


class ByKind(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps together, in one process, tests that share what is expensive or counted in the end."""

    def _split_scope(self, nodeid: str) -> str:
        """Return whom a test stays with: those of its file, of the same cluster, or of the OpenAPI description."""
        path = nodeid.partition("::")[0]
        kind = path.removeprefix("tests/").partition("/")[0]
        return path if kind == "unit" else kind


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist: with `-n`
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByKind:
    return ByKind(config, log)


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
