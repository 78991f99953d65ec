"""Results as a reader of the report wants to ask for them."""

from dataclasses import dataclass

from loadtest.results import Figure, Results


@dataclass(frozen=True)
class View:
    """Look-ups in *results*."""

    results: Results

    def figures(self, metric: str, strategy: str | None = None, **labels: str) -> list[Figure]:
        """Return the figures of *metric*, of *strategy* if given, that carry all *labels*."""
        return [
            f
            for f in self.results.figures
            if f.metric == metric and strategy in (None, f.strategy) and labels.items() <= f.labels.items()
        ]

    def one(self, metric: str, strategy: str | None = None, **labels: str) -> Figure | None:
        """Return the first such figure."""
        return next(iter(self.figures(metric, strategy, **labels)), None)

    def strategies(self, metric: str, **labels: str) -> list[str]:
        """Return who has such a figure, in the order of the results."""
        return list(dict.fromkeys(f.strategy for f in self.figures(metric, **labels)))

    def kind(self, strategy: str) -> str:
        """Return `control`, `session`, `token`, or an empty string when the results do not say."""
        kinds = self.results.config.get("strategies")
        return str(kinds.get(strategy, "")) if isinstance(kinds, dict) else ""

    @property
    def replicas(self) -> str:
        """Return how many replicas there were."""
        return str(self.results.config.get("replicas", "several"))
