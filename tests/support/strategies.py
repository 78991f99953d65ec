"""The strategies, as parameters of tests."""

import pytest

from services.app.application import INFOS as KEY
from services.app.strategy import Capability, Kind
from tests.support.openapi import idle_replica

INFOS = idle_replica()[KEY]


def each(*kinds: Kind, having: Capability | None = None, lacking: Capability | None = None) -> pytest.MarkDecorator:
    """Run the test for each strategy of *kinds* (all by default) that has, or lacks, the given capabilities."""
    chosen = [
        info
        for info in INFOS
        if info.kind in (kinds or Kind)
        and having in (None, *info.capabilities)
        and (lacking is None or lacking not in info.capabilities)
    ]
    return pytest.mark.parametrize("info", chosen, ids=[info.name for info in chosen])
