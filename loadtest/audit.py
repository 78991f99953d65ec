"""The self-audit: rules that mark figures one should not trust. Pure: results in, warnings out (DESIGN §6.6)."""

from collections.abc import Callable, Iterator

from loadtest.results import Figure, Results

BUSY_GENERATOR_PERCENT = 90.0
OTHER_CPU_PERCENT = 5.0
WIDEST_HALF = 0.10
SMALLEST_SHARE = 0.05

Rule = Callable[[Results], Iterator[str]]


def audit(results: Results) -> list[dict[str, str]]:
    """Return a warning `{"rule", "message"}` for everything that weakens *results*."""
    return [{"rule": name, "message": message} for name, rule in RULES.items() for message in rule(results)]


def figures(results: Results, metric: str, **labels: str) -> list[Figure]:
    """Return the figures of *metric* that carry all *labels*."""
    return [f for f in results.figures if f.metric == metric and labels.items() <= f.labels.items()]


def failed_answers(results: Results) -> Iterator[str]:
    """Wrong answers: the strategy's timings are refused."""
    for figure in figures(results, "failed_answers"):
        if figure.value:
            example = figure.labels.get("example", "")
            yield (
                f"{figure.strategy}: {figure.value:.0f} of {figure.n} answers failed ({example}); "
                "its timings and all ratios are refused"
            )
        elif not figure.n:
            yield f"{figure.strategy}: no answer came in time; its timings and all ratios are refused"


def generator_busy(results: Results) -> Iterator[str]:
    """A generator at its limit measures itself."""
    for figure in figures(results, "generator_cpu"):
        if figure.value > BUSY_GENERATOR_PERCENT:
            loop = figure.labels.get("loop", "")
            what = "requests/s is a lower bound" if loop == "closed" else "latency is too high"
            yield (
                f"{figure.strategy}, {loop} loop: the load generator used {figure.value:.0f} % of a core, so {what}; "
                "CPU per request is that of this rate"
            )


def wide_interval(results: Results) -> Iterator[str]:
    """CPU per request that is not known to ±10 %, where the tier has a share that matters."""
    for total in figures(results, "cpu_per_request", tier="total"):
        costs = [f for f in figures(results, "cpu_per_request") if f.strategy == total.strategy]
        mattering = [f for f in costs if f.labels["tier"] != "loadgen" and f.value >= SMALLEST_SHARE * total.value]
        wide = [f"±{100 * _half(f):.0f} % ({f.labels['tier']})" for f in mattering if _half(f) > WIDEST_HALF]
        if wide:
            yield f"{total.strategy}: CPU per request is only known to {', '.join(wide)}"


def _half(figure: Figure) -> float:
    """Return half the interval's width as a share of the value; 0 when there is no interval."""
    if figure.ci_low is None or figure.ci_high is None or not figure.value:
        return 0.0
    return (figure.ci_high - figure.ci_low) / 2 / figure.value


def null_test(results: Results) -> Iterator[str]:
    """A strategy that differs from itself: then so may others."""
    for figure in figures(results, "null_ratio"):
        if figure.ci_low is None or figure.ci_high is None or not figure.ci_low <= 1 <= figure.ci_high:
            yield (
                f"{figure.strategy} compared with itself gives {figure.value:.3f}, and 1 is not within its interval: "
                f"differences of {max(1.0, 100 * abs(figure.value - 1)):.0f} % or less mean nothing here"
            )


def busy_machine(results: Results) -> Iterator[str]:
    """Something else was running."""
    for figure in figures(results, "other_cpu"):
        if figure.value > OTHER_CPU_PERCENT:
            yield (
                f"the machine spent {figure.value:.0f} % of a core on neither the cluster nor the generator: "
                "every figure suffers, CPU per request too (shared caches and cores); repeat on an idle machine"
            )


RULES: dict[str, Rule] = {
    "failed_answers": failed_answers,
    "generator_busy": generator_busy,
    "wide_interval": wide_interval,
    "null_test": null_test,
    "busy_machine": busy_machine,
}
