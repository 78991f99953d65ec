"""How far a run is, on a terminal: one bar per step, and how long the rest will take."""

import time
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text


class Bars:
    """The experiments' `Progress`, drawn with rich; a context manager. Without a terminal, one line per step."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        columns = (TextColumn("{task.description:<36}"), BarColumn(20), _Steps(), _Time(clock))
        self._clock = clock
        self._began = self._total = 0.0
        self._console = console
        self._progress = Progress(*columns, console=console)
        self._task: TaskID | None = None
        self._whole: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        if self._whole is not None:
            self._progress.remove_task(self._whole)
        self._progress.stop()

    def expect(self, seconds: float) -> None:
        """Say that all that is left should take *seconds*; longer, if what is done has taken longer."""
        now = self._clock()
        if self._whole is None:
            self._began, self._total = now, seconds
            self._whole = self._progress.add_task("the whole run", total=seconds, whole=True)
        done = self._total - seconds
        pace = max(1.0, (now - self._began) / done) if done > 0 else 1.0
        self._progress.update(self._whole, completed=done, until=now + pace * seconds)

    def start(self, what: str, steps: int) -> None:
        """Begin *what*, which takes *steps* steps; what was going on before is done."""
        self._finish()
        self._task = self._progress.add_task(what, total=steps)
        if not self._console.is_terminal:
            self._console.print(what)

    def advance(self) -> None:
        """One step is done."""
        if self._task is not None:
            self._progress.advance(self._task)

    def _finish(self) -> None:
        if self._task is not None:
            self._progress.stop_task(self._task)
            self._task = None


class _Steps(MofNCompleteColumn):
    """How many steps are done; of the whole run, nothing."""

    def render(self, task: Task) -> Text:
        return Text("") if "whole" in task.fields else super().render(task)


class _Time(ProgressColumn):
    """How long a step has taken; of the whole run, how long the rest will take."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def render(self, task: Task) -> Text:
        until = task.fields.get("until")
        if until is None:
            return Text(f"{task.finished_time or task.elapsed or 0:.0f} s")
        return Text(f"{left(until - self._clock())} left")


def left(seconds: float) -> str:
    """Return a span of time as people say it."""
    return "less than a minute" if seconds < 50 else f"about {max(1, round(seconds / 60))} min"
