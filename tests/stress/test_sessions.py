"""Sessions under races, in full numbers (`make stress`). Drills: tests/drills/sessions/races.py; samples: tests/e2e."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.topology import Topology
from services.app.strategy import Capability, Info, Kind
from tests.drills.sessions.account_changes import disabling_races, password_races
from tests.drills.sessions.races import forced_logout_races, limit_races, logout_races, relogin_races, visit_races
from tests.stress.conftest import Progress, Say
from tests.support.strategies import INFOS, each

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1200)]

RACES = 1000
RELOGINS = FORCED = 100
ENDINGS = 40  # each of a dozen logins or more
LIMITS, WAYS = 20, 8
FEW = 0.01  # of all answers may be a 503: a busy machine's Redis needs more than its 250 ms now and then

atomic = each(Kind.SESSION, having=Capability.ATOMIC)
ENDED = [info for info in INFOS if Capability.FORCED_LOGOUT in info.capabilities]
IN_USE = {f"{act} {status}" for act in ("page", "visit") for status in (200, 401, 503)}


@atomic
async def test_s5_no_write_in_flight_revives_a_session(
    cluster: LocalCluster, info: Info, progress: Progress, say: Say
) -> None:
    seen = await logout_races(cluster, info, RACES, progress(RACES))
    say(str(dict(seen)))
    assert set(seen) <= {"ended", "asked again", *IN_USE}
    assert seen["ended"] == RACES
    assert min(seen["visit 200"], seen["visit 401"]) > RACES // 10, "control: these were races"
    assert seen["page 503"] + seen["visit 503"] + seen["asked again"] <= FEW * seen.total()


@atomic
async def test_s16_no_write_is_lost(cluster: LocalCluster, info: Info, progress: Progress, say: Say) -> None:
    seen = await visit_races(cluster, info, RACES, progress(RACES))
    say(str(dict(seen)))
    assert set(seen) <= {"visit 200", "visit 503", "afterwards 200"}
    assert seen["visit 503"] <= FEW * seen.total()


@atomic
async def test_s2_a_new_login_ends_the_old_one_even_while_it_is_in_use(
    cluster: LocalCluster, info: Info, progress: Progress, say: Say
) -> None:
    seen = await relogin_races(cluster, info, RELOGINS, progress(RELOGINS))
    say(str(dict(seen)))
    assert set(seen) <= {"one login", "unclear", "new 200", *IN_USE}
    assert seen["unclear"] <= FEW * RELOGINS
    assert seen["page 503"] + seen["visit 503"] <= FEW * seen.total()


@each(Kind.SESSION, having=Capability.FORCED_LOGOUT)
async def test_s13_a_forced_logout_ends_logins_that_are_in_use(
    cluster: LocalCluster, info: Info, progress: Progress, say: Say
) -> None:
    seen = await forced_logout_races(cluster, info, FORCED, progress(FORCED), devices=2)
    say(str(dict(seen)))
    assert set(seen) <= {"ended", *IN_USE}
    assert seen["ended"] >= 2 * FORCED
    assert seen["page 503"] + seen["visit 503"] <= FEW * seen.total()


async def test_s11_a_disabled_account_has_no_login_anywhere(
    cluster: LocalCluster, progress: Progress, say: Say
) -> None:
    seen = await disabling_races(cluster, ENDED, ENDINGS, progress(ENDINGS))
    say(str(dict(seen)))
    assert set(seen) <= {"ended", "login 200", "login 401", "again 200", "somebody else's page 200"}
    assert min(seen["login 200"], seen["login 401"]) > ENDINGS // 4, "control: these were races"


async def test_s12_a_changed_password_ends_all_other_logins(
    cluster: LocalCluster, progress: Progress, say: Say
) -> None:
    seen = await password_races(cluster, ENDED, ENDINGS, progress(ENDINGS))
    say(str(dict(seen)))
    assert set(seen) <= {"ended", "login 200", "login 401", "kept 200", "somebody else's page 200"}
    assert seen["kept 200"] == ENDINGS * len(cluster.replicas())
    assert min(seen["login 200"], seen["login 401"]) > ENDINGS // 4, "control: these were races"


@pytest.fixture(scope="module", params=["deny", "end-oldest"])
def limited_cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """A cluster on which a user may log in three times."""
    limit = {"SESSION_LIMIT": "3", "SESSION_LIMIT_POLICY": request.param}
    topology = replace(Topology.from_environment(), auth_replicas=2)
    topology = replace(topology, settings=(*topology.settings, *limit.items()))
    with LocalCluster(topology.on_free_ports(), STATE / "stress-limit") as started:
        yield started


@each(Kind.SESSION, having=Capability.DEVICES)
async def test_the_limit_holds_for_concurrent_logins_at_all_replicas(
    limited_cluster: LocalCluster, info: Info, say: Say
) -> None:
    seen = await limit_races(limited_cluster, info, LIMITS, ways=WAYS)
    say(str(dict(seen)))
    policy = dict(limited_cluster.topology.settings)["SESSION_LIMIT_POLICY"]
    logins = "logins 200: 3, 409: 5" if policy == "deny" else "logins 200: 8"
    assert set(seen) <= {f"{logins}; alive: 3, listed: 3", "unclear"}
    assert seen["unclear"] <= 1
