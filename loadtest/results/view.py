"""Results as a reader of the report wants to ask for them."""

from dataclasses import dataclass, replace

from loadtest.results.model import NOT_MEASURED, Figure, Results, Row


@dataclass(frozen=True)
class View:
    """Look-ups in *results*."""

    results: Results

    def figures(self, metric: str, strategy: str | None = None, **labels: str) -> list[Figure]:
        """Return the figures of *metric*, of *strategy* if given, that carry *labels*; "" for one that is not there."""
        return [
            f
            for f in self.results.figures
            if f.metric == metric
            and strategy in (None, f.strategy)
            and all(f.labels.get(label, "") == value for label, value in labels.items())
        ]

    def one(self, metric: str, strategy: str | None = None, **labels: str) -> Figure | None:
        """Return the first such figure."""
        return next(iter(self.figures(metric, strategy, **labels)), None)

    def strategies(self, metric: str, **labels: str) -> list[str]:
        """Return who has such a figure, in the order of the results."""
        return list(dict.fromkeys(f.strategy for f in self.figures(metric, **labels)))

    def ratio(self, metric: str, strategy: str, over: str, **labels: str) -> Figure | None:
        """Return the ratio of two strategies, whichever of them stands above the line in the results."""
        if found := self.one(metric, strategy, over=over, **labels):
            return found
        other_way = self.one(metric, over, over=strategy, **labels)
        return _inverse(other_way) if other_way else None

    def difference(self, strategy: str, over: str, **labels: str) -> Figure | None:
        """Return how much more *strategy* is than *over*, whichever of them was subtracted in the results."""
        if found := self.one("cpu_difference", strategy, over=over, **labels):
            return found
        other_way = self.one("cpu_difference", over, over=strategy, **labels)
        return _negative(other_way) if other_way else None

    def named(self, strategy: str) -> str:
        """Return the strategy's name for a reader, with the algorithm of its tokens: `jwt (EdDSA)`."""
        algorithm = self.results.config["settings"].get("AUTH_ALGORITHM", "")
        return f"{strategy} ({algorithm})" if algorithm and self.kind(strategy) == "token" else strategy

    def not_measured(self) -> list[tuple[str, Row]]:
        """Return what experiments could not measure, with the name of each."""
        rounds = self.results.rounds.items()
        return [(name, row) for name, rows in rounds for row in rows if row.get("kind") == NOT_MEASURED]

    @property
    def control(self) -> str | None:
        """Return the strategy that the others are compared with, if the results name one."""
        return next((name for name in self.results.config["strategies"] if self.kind(name) == "control"), None)

    def kind(self, strategy: str) -> str:
        """Return `control`, `session`, `token`, or an empty string when the results do not say."""
        facts = self.results.config["strategies"].get(strategy)
        return facts["kind"] if facts else ""

    @property
    def replicas(self) -> str:
        """Return how many replicas there were."""
        return str(self.results.config["replicas"])


def _inverse(ratio: Figure) -> Figure:
    """Return the same ratio the other way up. That is exact: ratios are averaged geometrically."""
    low, high = (1 / bound if bound else None for bound in (ratio.ci_high, ratio.ci_low))
    labels = ratio.labels | {"over": ratio.strategy}
    return replace(ratio, strategy=ratio.labels["over"], value=1 / ratio.value, ci_low=low, ci_high=high, labels=labels)


def _negative(difference: Figure) -> Figure:
    """Return the same difference the other way round."""
    low, high = (None if bound is None else -bound for bound in (difference.ci_high, difference.ci_low))
    labels = difference.labels | {"over": difference.strategy}
    return replace(
        difference, strategy=difference.labels["over"], value=-difference.value, ci_low=low, ci_high=high, labels=labels
    )
