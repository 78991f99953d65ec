"""S17: 100,000 invalid cookies and arbitrary bytes: no 5xx, none accepted, none adopted."""

import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Info, Kind
from tests.drills.sessions.mutated_cookies import mutated_cookies, refusals
from tests.stress.conftest import Progress, Say
from tests.support.strategies import INFOS, each

pytestmark = [pytest.mark.stress, pytest.mark.timeout(600)]

COOKIES = 100_000 // sum(info.kind is Kind.SESSION for info in INFOS)  # for each of the strategies


@each(Kind.SESSION)
async def test_s17_only_valid_cookies_are_accepted_and_no_cookie_causes_an_error(
    cluster: LocalCluster, info: Info, progress: Progress, say: Say
) -> None:
    seen = await mutated_cookies(cluster, info, COOKIES, progress(COOKIES))
    say(str(dict(seen)))
    assert set(seen) <= refusals(info)
    assert seen["the good one 200"]
