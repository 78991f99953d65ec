"""What else the figures show, one sentence per finding. Without a figure there is no sentence."""

from collections.abc import Iterator

from loadtest.numbers import amount, interval, listed, number, with_interval
from loadtest.results import Figure
from loadtest.view import View


def findings(view: View) -> list[str]:
    """Return the sentences, most important first."""
    return [
        sentence
        for find in (forgotten_affinity, errors, floor, login, tokens, algorithms, refreshes)
        for sentence in find(view)
    ]


def forgotten_affinity(view: View) -> Iterator[str]:
    """What happens without affinity, even if nothing fails."""
    for figure in view.figures("users_lost", fault="none", affinity="false"):
        if figure.value > 0:
            yield (
                f"Without affinity at the load balancer, {with_interval(figure)} of the users of {figure.strategy} "
                "lost their login within a few requests, although nothing failed."
            )


def errors(view: View) -> Iterator[str]:
    """Errors that users saw while replicas died."""
    figures = view.figures("http_5xx")
    if figures:
        total, gets = sum(f.value for f in figures), sum(f.n for f in figures)
        count = "none" if not total else number(total)
        yield f"While replicas were killed and restarted, {count} of {number(gets)} GETs failed (5xx or no answer)."


def floor(view: View) -> Iterator[str]:
    """What the framework costs without our code."""
    for ratio in view.figures("floor_ratio", path="direct"):
        yield (
            f"Bypassing nginx, a page under {ratio.strategy} costs {with_interval(ratio)} the CPU of a bare aiohttp "
            "server that gives the same answer."
        )


def login(view: View) -> Iterator[str]:
    """What a login costs, and where."""
    totals = view.figures("cpu_per_login", tier="total")
    auth = [view.one("cpu_per_login", total.strategy, tier="auth") for total in totals]
    if not totals:
        return
    shares = [100 * ours.value / total.value for ours, total in zip(auth, totals, strict=True) if ours and total.value]
    where = f", at least {int(min(shares))} % of it in auth" if shares else ""
    values = [total.value for total in totals]
    cost = (
        with_interval(totals[0]) if len(totals) == 1 else f"{amount(min(values), 'us')} to {amount(max(values), 'us')}"
    )
    yield f"A login costs {cost} of CPU{', depending on the strategy' if len(totals) > 1 else ''}{where}."


def tokens(view: View) -> Iterator[str]:
    """What a refresh and an introspection cost, in pages of the same strategy."""
    parts = []
    for what, metric in (("a refresh", "cpu_per_refresh"), ("an introspection", "cpu_per_introspection")):
        for total in view.figures(metric, tier="total"):
            page = view.one("cpu_per_request", total.strategy, tier="total", path="nginx")
            pages = f", as much as {number(total.value / page.value)} pages" if page and page.value else ""
            parts.append(f"{what} {with_interval(total)}{pages}")
    if parts:
        yield f"CPU per refresh and introspection: {'; '.join(parts)}."


def algorithms(view: View) -> Iterator[str]:
    """How much more or less it costs to verify tokens of other algorithms."""
    found = view.figures("verify_difference")
    if found:
        over = found[0].labels.get("over", "the default")
        parts = listed([f"{f.labels['algorithm']} {_more(f)}" for f in found])
        yield f"A page with a token, compared with {over}: {parts}."


def _more(difference: Figure) -> str:
    """Say how much more or less it is, or that no difference was shown."""
    known = interval(difference)
    if difference.ci_low is None or difference.ci_high is None or difference.ci_low <= 0 <= difference.ci_high:
        return f"no difference shown{f' ({known})' if known else ''}"
    word = "more" if difference.value > 0 else "less"
    return f"{amount(abs(difference.value), difference.unit)} {word} ({known})"


def refreshes(view: View) -> Iterator[str]:
    """Refreshes that were part of the bill at your traffic."""
    done = sum(figure.value for figure in view.figures("refreshes"))
    if done:
        yield f"The bill at your traffic includes {number(done)} token refreshes."
