"""The results of a run: tidy, versioned data, written by experiments and read by reports."""

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1


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


@dataclass
class Results:
    """Everything a report needs. *warnings* are the self-audit's: `{"rule", "message"}`, each names its rule."""

    host: dict[str, Any]
    binaries: dict[str, str]
    config: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION

    def write(self, directory: Path) -> None:
        """Write `results.json` and `results.csv` (the figures; labels as `key=value` pairs joined by `;`)."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "results.json").write_text(json.dumps(asdict(self), indent=1) + "\n")
        with (directory / "results.csv").open("w", newline="") as file:
            rows = [asdict(f) | {"labels": ";".join(f"{k}={v}" for k, v in f.labels.items())} for f in self.figures]
            writer = csv.DictWriter(file, fieldnames=list(Figure.__dataclass_fields__))
            writer.writeheader()
            writer.writerows(rows)

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read *path* (`results.json`). Raises `ValueError` on another schema version or a file that is none."""
        data = json.loads(path.read_text())
        if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
            found = data.get("schema_version") if isinstance(data, dict) else None
            raise ValueError(f"{path}: schema_version is {found!r}, this version reads {SCHEMA_VERSION}")
        return cls(**data | {"figures": [Figure(**row) for row in data["figures"]]})
