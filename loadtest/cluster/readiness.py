"""Waiting until the services of a local cluster say that they are ready."""

import os
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from urllib.error import URLError

import tenacity

from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.supervised import Supervised

Hopeless = Callable[[], bool]
"""Returns whether supervisord has ended, or was never there."""


class Readiness:
    """Asks services for `/readyz`."""

    def __init__(self, supervised: Supervised, hopeless: Hopeless) -> None:
        self._supervised = supervised
        self._hopeless = hopeless

    def wait(self, port: int, name: str, seconds: float) -> None:
        """Return when the service on *port* is ready.

        Raises `ClusterError` with the end of the log of the process *name* if it is not, or if supervisord gives it up.
        """
        deadline = monotonic() + seconds
        polling = tenacity.Retrying(
            wait=tenacity.wait_fixed(0.05),
            stop=lambda _: monotonic() > deadline or self._given_up(name),
            retry=tenacity.retry_if_result(lambda reason: reason is not None),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        if reason := polling(_not_ready, port):
            what = "cannot start" if self._given_up(name) else f"is not ready on port {port} ({reason})"
            said = self._supervised
            raise ClusterError(f"{name} {what}: {said.last_line(name)}\n{said.last_lines(name)}")

    def _given_up(self, name: str) -> bool:
        try:
            infos = [info for info in self._supervised.infos() if info["name"] == name]
        except ClusterError:
            return self._hopeless()
        return any(info["statename"] == "FATAL" or info["exitstatus"] == os.EX_CONFIG for info in infos)


def _not_ready(port: int) -> str | None:
    """Return why the service on *port* is not ready, or None."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return None if answer.status == HTTPStatus.OK else f"status {answer.status}"
    except (URLError, OSError) as error:
        return str(error)
