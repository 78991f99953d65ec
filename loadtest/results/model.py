"""The results of a run: tidy, versioned data, written by experiments and read by reports."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from loadtest.results.whole_files import write_whole

SCHEMA_VERSION = 3

Row = Mapping[str, Any]
"""One raw row of an experiment: a flat JSON object."""
NOT_MEASURED = "not measured"
"""The `kind` of a row that says *what* an experiment could not measure, and for what *reason*: it makes no figure."""


@dataclass(frozen=True)
class Figure:
    """One number with its unit, its 95 % confidence interval and the number of samples behind it."""

    experiment: str
    strategy: str
    metric: str
    unit: str
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 1
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What the run says about one claim or promise. *withdrawn_by*: the audit rules that forbid it, or empty."""

    claim: str
    text: str
    figures: str
    verdict: str
    withdrawn_by: str = ""


class StrategyFacts(TypedDict):
    """What `GET /strategies` said of one strategy."""

    kind: str
    login: str | None
    description: str
    capabilities: list[str]
    choose_when: str


class Config(TypedDict):
    """The conditions of a run. *settings*: the settings in force, by their names in `.env`."""

    seed: int
    replicas: int
    engine: str
    plan: dict[str, Any]
    strategies: dict[str, StrategyFacts]
    settings: dict[str, str]


class ResultsError(Exception):
    """A file is no results that this version can read; the message says why and what to do."""


@dataclass
class Results:
    """Everything a report needs.

    *rounds* has each experiment's raw rows, from which *figures* can be computed again. *warnings* are the
    self-audit's: `{"rule", "message"}`. A run that something ended early (*ended_by*) is not *complete*: it has what
    was measured by then.
    """

    host: dict[str, Any]
    binaries: dict[str, str]
    config: Config
    git_revision: str
    command: str
    complete: bool
    ended_by: str = ""
    rounds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION

    def write(self, directory: Path) -> None:
        """Write `results.csv` (the figures; labels as `key=value` pairs joined by `;`) and then `results.json`.

        Either is there as a whole or not at all. Raises `OSError`.
        """
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(directory / "results.csv", self._csv())
        write_whole(directory / "results.json", self._json())

    def _json(self) -> bytes:
        """Return the file: indented, but with one line for each raw row, of which there are thousands."""
        whole = msgspec.to_builtins(self, enc_hook=_plain)
        tables = {name: Table.of(rows) for name, rows in whole["rounds"].items()}
        text = msgspec.json.format(msgspec.json.encode(whole | {"rounds": {}}), indent=1)
        lines = b",\n".join(msgspec.json.encode(name) + b": " + table.encoded() for name, table in tables.items())
        return text.replace(b'"rounds": {}', b'"rounds": {\n' + lines + b"\n }", 1) + b"\n"

    def _csv(self) -> str:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=list(Figure.__dataclass_fields__))
        writer.writeheader()
        for figure in self.figures:
            labels = ";".join(f"{key}={value}" for key, value in figure.labels.items())
            writer.writerow(asdict(figure) | {"labels": labels})
        return text.getvalue()

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read *path* (`results.json`). Raises `ResultsError` or `OSError`."""
        content = path.read_bytes()
        try:
            version = msgspec.json.decode(content, type=_Version).schema_version
            if version == SCHEMA_VERSION:
                rounds = msgspec.json.decode(content, type=_Whole).rounds
                whole = msgspec.json.decode(content)
                whole["rounds"] = {name: table.as_rows() for name, table in rounds.items()}
                return msgspec.convert(whole, type=cls)
        except msgspec.ValidationError as error:
            raise ResultsError(f"{path}: {error}. {_EDITED}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ResultsError(f"{path} is not whole JSON ({error}). {_EDITED}") from None
        raise ResultsError(
            f"{path} has schema_version {version}, and this version of authscale reads {SCHEMA_VERSION}: "
            "measure again, or use the version that wrote it"
        )


class Table(msgspec.Struct):
    """Rows without their names: *columns* has the sets of names, and each row starts with the number of its own."""

    columns: list[list[str]]
    rows: list[list[Any]]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Table":
        """Return *rows* as a table."""
        numbers: dict[tuple[str, ...], int] = {}
        values = [[numbers.setdefault(tuple(row), len(numbers)), *row.values()] for row in rows]
        return cls([list(names) for names in numbers], values)

    def as_rows(self) -> list[dict[str, Any]]:
        """Return the rows. Raises `msgspec.ValidationError` if one does not fit its columns."""
        try:
            return [dict(zip(self.columns[number], values, strict=True)) for number, *values in self.rows]
        except (ValueError, IndexError, TypeError) as error:
            raise msgspec.ValidationError(f"a raw row does not fit its columns ({error})") from None

    def encoded(self) -> bytes:
        """Return JSON with a line for each row."""
        rows = b",\n".join(msgspec.json.encode(row) for row in self.rows)
        return b'{"columns": ' + msgspec.json.encode(self.columns) + b', "rows": [\n' + rows + b"\n]}"


_EDITED = "The file was edited or cut off: restore it from a copy, or measure again"


class _Version(msgspec.Struct):
    schema_version: int


class _Whole(msgspec.Struct):
    """What must be there though `Results` has defaults for it: a file without is not one that we wrote."""

    rounds: dict[str, Table]
    figures: msgspec.Raw
    verdicts: msgspec.Raw
    warnings: msgspec.Raw


def _plain(value: Any) -> Any:
    """Return NumPy's scalar *value* as Python's, which is what JSON has."""
    return value.item()
