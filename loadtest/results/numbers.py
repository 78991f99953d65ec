"""Numbers as people read them: three significant digits, units that fit, intervals beside them."""

import math

from loadtest.results.model import Figure

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNITS = {"us": "µs", "ratio": "times", "count": ""}


def number(value: float) -> str:
    """Return *value* with three significant digits, thousands separated; whole numbers below 100,000 stay exact."""
    if not math.isfinite(value):
        return "-"
    if value == round(value) and abs(value) < 100_000:
        return f"{value:,.0f}"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def amount(value: float, unit: str) -> str:
    """Return *value* with its unit; microseconds from a thousand on are milliseconds."""
    if unit == "us" and abs(value) >= 1000:
        return f"{number(value / 1000)} ms"
    sign = UNITS.get(unit, unit)
    return f"{number(value)} {sign}".strip()


def power(exponent: int) -> str:
    """Return a power of ten: `10⁻³`."""
    return "10" + str(exponent).translate(SUPERSCRIPT)


def duration(seconds: float) -> str:
    """Return a length of time: `310 s`, `12 h`, `14 days`; other units only where they are exact."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length and seconds % length == 0:
            return f"{number(seconds / length)} {unit}"
    return f"{number(seconds)} s"


def interval(figure: Figure) -> str:
    """Return the figure's confidence interval, or an empty string if it has none."""
    if figure.ci_low is None or figure.ci_high is None:
        return ""
    low, high = amount(figure.ci_low, figure.unit), amount(figure.ci_high, figure.unit)
    same_unit = low.partition(" ")[2] == high.partition(" ")[2]
    return f"{low.partition(' ')[0] if same_unit else low} to {high}"


def with_interval(figure: Figure) -> str:
    """Return `12.3 µs (11.9 to 12.8 µs)`."""
    known = interval(figure)
    return amount(figure.value, figure.unit) + (f" ({known})" if known else "")


def listed(words: list[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
