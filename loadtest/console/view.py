"""What the templates show, worked out when they ask for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtest.cluster.protocol import Process
from loadtest.console.actions import ACTIONS, BREAKABLE, offered
from loadtest.console.latest_report import LatestReport, latest_report
from loadtest.console.picture import Picture
from loadtest.console.shapes import SHAPES
from loadtest.console.stage import Stage
from loadtest.console.texts import LANGUAGES, text
from loadtest.console.timeline import Line, lines
from loadtest.console.tour import STEPS
from loadtest.load.client import Strategy

NUMBERS = ("logged_in", "logged_out", "silent", "lost", "p50", "p99", "cpu")
EXPLAINED = ("p50", "p99", "cpu")
TIERS = ("loadbalancer", "app", "redis", "auth", "database")
LEEWAY_SECONDS = 10
"""For which replicas go on accepting a token that has expired."""


@dataclass(frozen=True)
class Tier:
    """Processes that do the same work."""

    name: str
    processes: Sequence[Process]
    breakable: bool


@dataclass(frozen=True)
class View:
    """The *stage* in one *language*. *reports*: where the last report is, if there is one."""

    stage: Stage
    picture: Picture
    reports: Path
    language: str

    languages = LANGUAGES
    shapes = SHAPES
    numbers = NUMBERS
    explained = EXPLAINED
    steps = len(STEPS)

    def text(self, key: str, **values: object) -> str:
        """Return a text of the catalogue."""
        return text(self.language, key, **values)

    def time(self) -> str:
        """Return what time it is."""
        return datetime.now().astimezone().strftime("%H:%M:%S")

    def rows(self) -> list[tuple[Strategy, dict[str, Any]]]:
        """Return each strategy with its numbers."""
        return list(zip(self.stage.strategies, self.picture.numbers()["rows"], strict=True))

    def tiers(self) -> list[Tier]:
        """Return the tiers of the cluster, in the order in which a request meets them."""
        members = {name: [one for one in self.stage.processes if one.tier == name] for name in TIERS}
        return [Tier(name, found, name in BREAKABLE) for name, found in members.items() if found]

    def offered(self, process: Process) -> list[str]:
        """Return the actions for *process* in its state."""
        return offered(process, self.stage.cluster.capabilities())

    def actions(self, of: str) -> list[str]:
        """Return the actions for a person, or for the cluster, that make sense now."""
        able = self.stage.cluster.capabilities()
        useless = "restore-affinity" if self.stage.crowd.affinity else "forget-affinity"
        fitting = (one for one in ACTIONS.values() if one.of == of and one.key != useless)
        return [action.key for action in fitting if action.needs is None or action.needs in able]

    def entries(self) -> list[Line]:
        """Return the clicks, the last one first."""
        return lines(self.stage.history, {one.name for one in self.stage.strategies if one.is_control}, self.text)

    def facts(self) -> Mapping[str, object]:
        """Return the values that texts of the tour need."""
        life = self.stage.token_seconds
        return {
            "replicas": sum(process.tier == "app" for process in self.stage.processes),
            "seat": self.stage.subject + 1,
            "life": round(life),
            "longest": round(life + LEEWAY_SECONDS),
            "leeway": LEEWAY_SECONDS,
        }

    def report(self) -> LatestReport | None:
        """Return the last report, if there is one."""
        return latest_report(self.reports)
