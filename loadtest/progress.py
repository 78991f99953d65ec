"""How far a run is, on a terminal: one bar per experiment."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """The experiments' `Progress`, drawn with rich; a context manager."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        self._progress.stop()

    def start(self, what: str, steps: int) -> None:
        """Begin *what*, which has so many *steps*; whatever was going on before is done."""
        self._finish()
        self._task = self._progress.add_task(what, total=steps)

    def advance(self) -> None:
        """One step is done."""
        if self._task is not None:
            self._progress.advance(self._task)

    def _finish(self) -> None:
        if self._task is not None:
            self._progress.stop_task(self._task)
            self._task = None
