"""What the report says of signature algorithms: a table, a picture, and which of them cost more than a store."""

from collections.abc import Iterator, Sequence

from loadtest.report.drawing import BLUE, GREEN, ORANGE, SOFT, Axes, dots, highest, legend_above, panels
from loadtest.report.plot import Plot
from loadtest.report.section import Table
from loadtest.results.model import Figure
from loadtest.results.numbers import amount, interval, listed, with_interval
from loadtest.results.view import View

NONE = "\N{EN DASH}"
HEAD = (
    "tokens signed with, or a store",
    "signing: CPU of auth per refresh",
    "verifying: extra CPU per page",
    "page, compared with one without login",
    "bytes of a token",
)


def tables(view: View) -> Iterator[Table]:
    """Yield a row per algorithm, and below them one per store."""
    extra = _over(view, view.control or "")
    if extra:
        yield Table(
            "Signature algorithms",
            "The extra CPU of a page is that of a saturated replica and of Redis, on top of the same replica's page "
            "without login; these intervals hold for all algorithms and stores simultaneously. Without a token, it is "
            "the cost of a look-up. A refresh signs one access token, and its other work does not depend on the "
            "algorithm.",
            HEAD,
            tuple(_row(view, figure) for figure in extra),
        )


def _over(view: View, over: str) -> list[Figure]:
    """Return what each algorithm, and after them each store, costs more than *over*."""
    return sorted(view.figures("algorithm_difference", over=over), key=lambda figure: "algorithm" not in figure.labels)


def _row(view: View, extra: Figure) -> tuple[str, ...]:
    algorithm = extra.labels.get("algorithm", "")
    ratio = view.one("algorithm_ratio", extra.strategy, algorithm=algorithm)
    cells = with_interval(extra), with_interval(ratio) if ratio else NONE
    if not algorithm:
        return extra.strategy, NONE, *cells, NONE
    sign, size = (view.one(metric, algorithm=algorithm) for metric in ("refresh_auth_cpu", "token_size"))
    return (
        algorithm,
        with_interval(sign) if sign else NONE,
        *cells,
        amount(size.value, "") if size else NONE,
    )


def sentences(view: View) -> Iterator[str]:
    """How much more or less other algorithms cost than the default, and which make tokens cheaper than a store."""
    for metric, what in (("verify_difference", "A page with a token"), ("sign_difference", "A refresh at auth")):
        found = view.figures(metric)
        if found:
            parts = listed([f"{f.labels['algorithm']} {_more(f)}" for f in found])
            yield f"{what}, compared with {found[0].labels.get('over', 'the default')}: {parts}."
    stores = [name for name in view.strategies("algorithm_difference") if view.kind(name) == "session"]
    for store in stores:
        if differences := sorted(_over(view, store), key=lambda figure: figure.value):
            yield _ranking(store, differences)


def _more(difference: Figure) -> str:
    """Say how much more or less it is, or that no difference was shown."""
    known = interval(difference)
    if _sign(difference) == 0:
        return f"no difference shown{f' ({known})' if known else ''}"
    word = "more" if difference.value > 0 else "less"
    return f"{amount(abs(difference.value), difference.unit)} {word} ({known})"


def _sign(difference: Figure) -> int:
    """Return whether it was shown to be more (1) or less (-1), or neither."""
    if difference.ci_low is None or difference.ci_high is None or difference.ci_low <= 0 <= difference.ci_high:
        return 0
    return 1 if difference.value > 0 else -1


def _ranking(store: str, differences: Sequence[Figure]) -> str:
    """Say with which algorithms tokens cost less than *store*, and between which two that changes.

    *differences* are those of all algorithms, the cheapest first.
    """
    less, alike, more = ([f for f in differences if _sign(f) == sign] for sign in (-1, 0, 1))
    groups = ("costs less than", less), ("cannot be told apart from", alike), ("costs more than", more)
    found = [(words, figures) for words, figures in groups if figures]
    others = [store, *["it"] * len(found)]
    parts = [f"{words} {other} with {_named(figures)}" for (words, figures), other in zip(found, others, strict=False)]
    said = f"{differences[0].strategy} {listed(parts)}"
    if less and more:
        return f"{said}: the ranking flips between {less[-1].labels['algorithm']} and {more[0].labels['algorithm']}."
    if alike:
        return f"{said}: this run does not show that the ranking flips."
    return f"{said}: no algorithm makes it {'cheaper' if more else 'more expensive'}."


def _named(found: Sequence[Figure]) -> str:
    """Return the algorithms, each with its difference: `HS256 (+11.2 µs, 9.80 to 12.6 µs)`."""
    differences = [f"{'+' * (f.value > 0)}{amount(f.value, f.unit)}, {interval(f)}".removesuffix(", ") for f in found]
    return listed([f"{f.labels['algorithm']} ({said})" for f, said in zip(found, differences, strict=True)])


def draw(axes: Axes, view: View) -> None:
    """Three panels, by algorithm: verifying, with a line for each store; signing; and the size of a token."""
    control = view.control or ""
    extra = [f for f in _over(view, control) if "algorithm" in f.labels]
    shown = [(found, what, tint) for found, what, tint in (
        (extra or view.figures("verify_page_cpu"), "extra CPU per page" if extra else "CPU per page", BLUE),
        (view.figures("refresh_auth_cpu"), "CPU of auth per refresh", GREEN),
        (view.figures("token_size"), "bytes of a token", ORANGE),
    ) if found]  # fmt: skip
    drawn = panels(axes, len(shown))
    for panel, (figures, what, tint) in zip(drawn, shown, strict=True):
        dots(panel, figures, [f.labels["algorithm"] for f in figures], [tint] * len(figures))
        panel.set_xlim(0, 2 * highest(figures))
        panel.tick_params(axis="x", labelsize="small")
        panel.set_xlabel(what, fontsize="small")
    stores = [f for f in _over(view, control) if "algorithm" not in f.labels]
    for style, store in zip((":", "--", "-.", "-"), stores, strict=False):
        drawn[0].axvline(store.value, color=SOFT, linestyle=style, linewidth=1, label=store.strategy)
    legend_above(drawn)


PLOT = Plot(
    "algorithms",
    "verify_page_cpu",
    "Signature algorithms of tokens",
    "Extra CPU of a page whose token a replica verifies (lines: a look-up in a store instead), CPU of the auth service "
    "for a refresh, which signs a token, and the size of a token. Less is better.",
    draw,
    2.8,
)
