"""What a client was told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.history import NO_ANSWER


@dataclass(frozen=True)
class Answer:
    """What came back, or that nothing did: the connection broke."""

    status: int = NO_ANSWER
    body: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """What the answer says: `200`, `503`, `no answer`, or with a reason: `400 invalid_grant`."""
        return " ".join(filter(None, [str(self.status or "no answer"), str(self.body.get("error", ""))]))
