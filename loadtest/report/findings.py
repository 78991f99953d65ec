"""The headline findings, computed from the figures: no figure, no sentence."""

from collections.abc import Iterator, Sequence

from loadtest.numbers import amount, listed, number, with_interval
from loadtest.results import Figure
from loadtest.view import View


def findings(view: View) -> list[str]:
    """Return one sentence per finding, most important first."""
    return [
        sentence
        for find in (cost, floor, logged_out, forgotten_affinity, errors, login, tokens, algorithms, latency)
        for sentence in find(view)
    ]


def cost(view: View) -> Iterator[str]:
    """CPU per request: what each login strategy adds to a page without a login."""
    totals = sorted((f for f in view.figures("cpu_per_request", tier="total", path="nginx")), key=lambda f: f.value)
    if totals:
        parts = listed([f"{f.strategy} {with_interval(f)}" for f in totals])
        yield f"Server CPU per request, all tiers together: {parts}."
    ratios = view.figures("cpu_ratio", tier="app", path="direct", over=view.control or "", intervals="")
    ratios.sort(key=lambda f: f.value)
    if ratios:
        parts = listed([f"{f.strategy} {_times(f)}" for f in ratios])
        yield f"In the app tier alone, compared with {view.control} within each round: {parts}."


def floor(view: View) -> Iterator[str]:
    """What the framework costs below everything of ours."""
    for ratio in view.figures("floor_ratio"):
        yield (
            f"Asked directly, a replica's page under {ratio.strategy} costs {with_interval(ratio)} the CPU of a bare "
            "aiohttp server that gives the same answer."
        )


def algorithms(view: View) -> Iterator[str]:
    """What the signature algorithms of tokens cost on this machine."""
    named = {
        "signing": view.figures("sign_cpu"),
        "verifying": view.figures("verify_cpu", part="pyjwt"),
        "the signature's part of that": view.figures("verify_cpu", part="signature"),
        "size": view.figures("token_size"),
    }
    parts = [f"{what} {listed(_by_algorithm(figures))}" for what, figures in named.items() if figures]
    if parts:
        yield f"What signature algorithms of tokens cost, in CPU of one process: {'; '.join(parts)}."


def _by_algorithm(figures: Sequence[Figure]) -> list[str]:
    return [f"{f.labels['algorithm']} {amount(f.value, f.unit)}" for f in figures]


def _times(ratio: Figure) -> str:
    if ratio.ci_low is None or ratio.ci_high is None:
        return f"{number(ratio.value)} times the CPU"
    known = f"({number(ratio.ci_low)} to {number(ratio.ci_high)})"
    if ratio.ci_low <= 1 <= ratio.ci_high:
        return f"no measurable difference {known}"
    return f"{number(ratio.value)} times the CPU {known}"


def logged_out(view: View) -> Iterator[str]:
    """Who is logged out when one replica is killed, behind a load balancer with affinity."""
    figures = view.figures("users_lost", fault="kill -9", affinity="true")
    expected = view.one("expected_users_lost")
    lost = [f for f in figures if f.value > 0]
    if lost:
        due = (
            f"; {number(expected.value)} % is what state in one of {view.replicas} replicas predicts"
            if expected
            else ""
        )
        yield (
            f"A kill -9 of one of {view.replicas} replicas cost users their login under "
            + listed([f"{f.strategy}: {with_interval(f)} of them, over {f.n} kills" for f in lost])
            + due
            + "."
        )
    kept = [f for f in view.figures("kills_with_losses", affinity="true") if not f.value]
    if kept:
        parts = listed(
            [f"{f.strategy} (in {f.n} kills; up to {number(round(f.ci_high or 0))} % may do so)" for f in kept]
        )
        yield f"No kill logged anybody out under {parts}."


def forgotten_affinity(view: View) -> Iterator[str]:
    """What happens without affinity, with no fault at all."""
    for figure in view.figures("users_lost", fault="none", affinity="false"):
        if figure.value > 0:
            yield (
                f"Without affinity at the load balancer, {number(figure.value)} % of the users of "
                f"{figure.strategy} met a replica that did not know them within a few requests, with no fault at all."
            )


def errors(view: View) -> Iterator[str]:
    """Errors that users saw while replicas died."""
    figures = view.figures("http_5xx")
    if figures:
        total, gets = sum(f.value for f in figures), sum(f.n for f in figures)
        count = "None" if not total else number(total)
        yield f"{count} of {number(gets)} GETs got a 5xx or no answer while replicas were killed and started again."


def login(view: View) -> Iterator[str]:
    """What a login costs, and where."""
    parts = []
    for total in view.figures("cpu_per_login", tier="total"):
        auth = view.one("cpu_per_login", total.strategy, tier="auth")
        share = f" ({100 * auth.value / total.value:.0f} % of it in auth)" if auth and total.value else ""
        parts.append(f"{total.strategy} {amount(total.value, total.unit)}{share}")
    if parts:
        yield f"A login costs, in CPU of all tiers: {listed(parts)}."


def tokens(view: View) -> Iterator[str]:
    """What a refresh and an introspection cost, in pages of the same strategy."""
    parts = []
    for what, metric in (("a refresh", "cpu_per_refresh"), ("an introspection", "cpu_per_introspection")):
        for total in view.figures(metric, tier="total"):
            page = view.one("cpu_per_request", total.strategy, tier="total", path="nginx")
            pages = f", as much as {number(total.value / page.value)} pages" if page and page.value else ""
            parts.append(f"{what} {with_interval(total)}{pages}")
    if parts:
        yield f"What else tokens cost, in CPU of all tiers: {'; '.join(parts)}."


def latency(view: View) -> Iterator[str]:
    """Latency at one rate for all."""
    figures = sorted(view.figures("latency", percentile="p99", level="high"), key=lambda f: f.value)
    if figures:
        parts = listed([f"{f.strategy} {amount(f.value, f.unit)}" for f in figures])
        yield f"99 % of requests at {figures[0].labels.get('rate', '?')} requests/s were answered within: {parts}."
