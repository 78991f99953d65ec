"""Makes figures of what `footprint` recorded. Pure: rows in, figures out."""

from collections.abc import Sequence
from statistics import mean

import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.experiments.rows import figure
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval

NAME = "footprint"
PER = {"logins": "login", "requests": "request"}


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return bytes per login by tier (the slope of a line), the store's commands, and the longest credential."""
    found = []
    for name in dict.fromkeys(row["strategy"] for row in rows):
        mine = [row for row in rows if row["strategy"] == name]
        grown = [row for row in mine if row["what"] == "growth"]
        if len(grown) > 2:
            found += _slopes(name, grown)
        for what, per in PER.items():
            counted = [row["operations"] for row in mine if row["what"] == what]
            if counted:
                each = Interval(mean(counted), None, None, len(counted))
                found.append(figure(NAME, name, "store_operations", "count", each, per=per))
        for row in mine:
            if row["what"] == "longest":
                labels = {"beyond": f"{row['beyond']} {row['problem']}".strip(), "own": str(row["own"])}
                found.append(Figure(NAME, name, "longest_credential", "bytes", row["bytes"], labels=labels))
    return found


def _slopes(name: str, grown: Sequence[Row]) -> list[Figure]:
    """Return bytes per login by tier: least squares, with Student's interval of the slope."""
    tiers = [key for key in grown[0] if key.startswith("bytes_")]
    logins, found = [row["logins"] for row in grown], []
    for tier in tiers:
        sizes = [row[tier] for row in grown]
        line = scipy.stats.linregress(logins, sizes)
        steady = len(set(sizes)) == 1  # the slope's error is not defined then
        half = 0.0 if steady else float(scipy.stats.t.ppf(0.975, len(grown) - 2)) * float(line.stderr)
        slope = Interval(float(line.slope), float(line.slope) - half, float(line.slope) + half, len(grown))
        found.append(figure(NAME, name, "bytes_per_login", "bytes", slope, tier=tier.removeprefix("bytes_")))
    return found
