"""How much is measured."""

from dataclasses import dataclass

from loadtest.experiments.experiment import BasePlan

LOGINS_OF_A_USER = 40
"""Below SESSION_LIMIT: above it, each login ends another one."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """Memory is read after each of *steps* of so many *sessions* or logins with *tokens*, after *warm_up* sessions.

    The store's commands are counted during so many *logins* and *requests*, and while nothing happens for
    *idle_seconds*.
    """

    steps: int = 4
    warm_up: int = 5000
    sessions: int = 1000
    tokens: int = 30
    logins: int = 20
    requests: int = 200
    idle_seconds: float = 0.5
