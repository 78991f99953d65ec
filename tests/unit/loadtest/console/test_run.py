"""How a console is started, and that it goes on."""

import socket

import pytest
from click.testing import CliRunner

from loadtest import cli
from loadtest.cluster.protocol import ClusterError
from loadtest.console.run import kept_going


async def test_a_part_that_fails_begins_anew(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.console.run.REST_SECONDS", 0.0)
    attempts = iter([RuntimeError("first"), KeyError("second"), None])

    async def work() -> None:
        if (fault := next(attempts)) is not None:
            raise fault

    await kept_going(work)
    assert next(attempts, "all used") == "all used"
    assert caplog.text.count("failed, and begins anew") == 2


def test_a_port_that_is_taken_is_told_of_before_a_cluster_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(cli.cli, ["console", "--port", str(port)])
    assert isinstance(done.exception, ClusterError)
    assert f"port {port} is taken" in str(done.exception)
    assert "--port" in str(done.exception)


def test_a_console_for_the_network_says_what_that_means() -> None:
    text = " ".join(CliRunner().invoke(cli.cli, ["console", "--help"]).output.split())
    assert "can break this cluster and see who is logged in" in text
    assert "[default: 127.0.0.1]" in text
