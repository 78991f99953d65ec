"""S17: 100,000 cookies that are nobody's, and bytes that are none: no 5xx, none accepted, none adopted."""

import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Info, Kind
from tests.contract.app.calls import INFOS, each
from tests.drills.mutated_cookies import mutated_cookies
from tests.e2e.test_mutated_cookies import refusals
from tests.stress.conftest import Progress, Say

pytestmark = [pytest.mark.stress, pytest.mark.timeout(600)]

COOKIES = 100_000 // sum(info.kind is Kind.SESSION for info in INFOS)  # for each of the strategies


@each(Kind.SESSION)
async def test_s17_no_cookie_but_a_good_one_is_accepted_adopted_or_too_much(
    cluster: LocalCluster, info: Info, progress: Progress, say: Say
) -> None:
    seen = await mutated_cookies(cluster, info, COOKIES, progress(COOKIES))
    say(str(dict(seen)))
    assert set(seen) <= refusals(info)
    assert seen["the good one 200"]
