"""Options of the test suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--running",
        action="store_true",
        help="put tests/e2e/test_contract.py to the cluster that runs on the ports of .env (`docker compose up`)",
    )
