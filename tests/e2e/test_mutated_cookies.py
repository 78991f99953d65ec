"""S17: cookies that are nobody's, and bytes that are none (`make stress` sends 100,000)."""

import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Capability, Info, Kind
from tests.contract.app.calls import each
from tests.drills.mutated_cookies import mutated_cookies, other_spellings
from tests.support.clients import site_of

pytestmark = pytest.mark.e2e
SAMPLE = 2_000
SORTS = ("mutant", "another spelling", "bytes")


def refusals(info: Info) -> set[str]:
    """Return all that one may see. A header with control characters is no header (RFC 9110 §5.5): that is a 400.

    A logout whose session could be at another replica says so: 404.
    """
    logouts = {204} if Capability.ANY_REPLICA in info.capabilities else {204, 404}
    return {
        *(f"{sort}: {call} 401" for sort in SORTS for call in ("mypage", "visits")),
        *(f"{sort}: logout {status}" for sort in SORTS for status in logouts),
        *(f"no header's bytes: {call} 400" for call in ("mypage", "visits", "logout")),
        "the good one 200",
        "a new one",
        "presented at a login, afterwards 401",
    }


@each(Kind.SESSION)
async def test_s17_no_cookie_but_a_good_one_is_accepted_adopted_or_too_much(cluster: LocalCluster, info: Info) -> None:
    seen = await mutated_cookies(cluster, info, SAMPLE)
    assert set(seen) <= refusals(info)
    assert seen["the good one 200"]


@each(Kind.SESSION)
async def test_s17_a_good_cookie_in_another_spelling_is_none(cluster: LocalCluster, info: Info) -> None:
    """Base64 has several texts for the same bytes, unless their number is divisible by three."""
    async with site_of(cluster, info, directly=True) as site:
        login = await site.log_in(await site.register())
        (name, value), *_ = login.cookies.items()
        for text in other_spellings(value):
            login.cookies[name] = text
            assert (await site.page(login)).status == 401, f"…{text[-4:]} for …{value[-4:]}"
