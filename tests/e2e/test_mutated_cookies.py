"""S17: invalid cookies and arbitrary bytes (`make stress` sends 100,000)."""

import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Info, Kind
from tests.drills.sessions.mutated_cookies import mutated_cookies, other_spellings, refusals
from tests.support.clients.strategy import site_of
from tests.support.strategies import each

pytestmark = pytest.mark.e2e
SAMPLE = 2_000


@each(Kind.SESSION)
async def test_s17_only_valid_cookies_are_accepted_and_no_cookie_causes_an_error(
    cluster: LocalCluster, info: Info
) -> None:
    seen = await mutated_cookies(cluster, info, SAMPLE)
    assert set(seen) <= refusals(info)
    assert seen["the good one 200"]


@each(Kind.SESSION)
async def test_s17_a_valid_cookie_in_another_spelling_is_refused(cluster: LocalCluster, info: Info) -> None:
    """Base64 has several spellings of the same bytes unless their number is divisible by three."""
    async with site_of(cluster, info, directly=True) as site:
        login = await site.log_in(await site.register())
        (name, value), *_ = login.cookies.items()
        for text in other_spellings(value):
            login.cookies[name] = text
            assert (await site.page(login)).status == 401, f"…{text[-4:]} for …{value[-4:]}"
