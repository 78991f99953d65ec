"""The answer that a client got."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.history import NO_ANSWER


@dataclass(frozen=True)
class Answer:
    """An answer, or that there was none because the connection broke."""

    status: int = NO_ANSWER
    body: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The answer in short: `200`, `503`, `no answer`, or with a reason, `400 invalid_grant`."""
        return " ".join(filter(None, [str(self.status or "no answer"), str(self.body.get("error", ""))]))
