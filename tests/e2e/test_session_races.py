"""Sessions under races over all replicas: samples of what `make stress` does in full (drills/sessions)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.cluster.local import LocalCluster
from loadtest.cluster.topology import Topology
from services.app.strategy import Capability, Info, Kind
from tests.drills.sessions.account_changes import disabling_races, password_races
from tests.drills.sessions.races import forced_logout_races, limit_races, logout_races, relogin_races, visit_races
from tests.support.strategies import INFOS, each

pytestmark = pytest.mark.e2e
SAMPLE, WAYS = 10, 8

IN_USE = {f"{act} {status}" for act in ("page", "visit") for status in (200, 401, 503)}
"""What one may get with a login that is about to end; 503 is for busy machines."""

atomic = each(Kind.SESSION, having=Capability.ATOMIC)
ENDED = [info for info in INFOS if Capability.FORCED_LOGOUT in info.capabilities]


@atomic
async def test_s5_no_write_in_flight_revives_a_session(cluster: LocalCluster, info: Info) -> None:
    seen = await logout_races(cluster, info, SAMPLE, ways=WAYS)
    assert set(seen) <= {"ended", "asked again", *IN_USE}
    assert seen["ended"] == SAMPLE
    assert seen["visit 200"], "control: some writes were faster than the logout"


@atomic
async def test_s16_no_write_is_lost(cluster: LocalCluster, info: Info) -> None:
    seen = await visit_races(cluster, info, SAMPLE, ways=WAYS)
    assert set(seen) <= {"visit 200", "visit 503", "afterwards 200"}
    assert seen["visit 503"] <= SAMPLE * WAYS // 10


@atomic
async def test_s2_a_new_login_ends_the_old_one_even_while_it_is_in_use(cluster: LocalCluster, info: Info) -> None:
    seen = await relogin_races(cluster, info, SAMPLE // 2)
    assert set(seen) <= {"one login", "unclear", "new 200", *IN_USE}
    assert seen["one login"] >= SAMPLE // 2 - 1


@each(Kind.SESSION, having=Capability.FORCED_LOGOUT)
async def test_s13_a_forced_logout_ends_logins_that_are_in_use(cluster: LocalCluster, info: Info) -> None:
    seen = await forced_logout_races(cluster, info, SAMPLE // 2, devices=2)
    assert set(seen) <= {"ended", *IN_USE}
    assert seen["ended"] >= 2 * (SAMPLE // 2)


async def test_s11_a_disabled_account_has_no_login_anywhere(cluster: LocalCluster) -> None:
    seen = await disabling_races(cluster, ENDED, 3)
    assert set(seen) <= {"ended", "login 200", "login 401", "again 200", "somebody else's page 200"}
    assert seen["ended"] >= 3 * len(ENDED)


async def test_s12_a_changed_password_ends_all_other_logins(cluster: LocalCluster) -> None:
    seen = await password_races(cluster, ENDED, 3)
    assert set(seen) <= {"ended", "login 200", "login 401", "kept 200", "somebody else's page 200"}
    assert seen["ended"] >= 3 * len(ENDED)
    assert seen["kept 200"] == 3 * len(cluster.replicas())


@pytest.fixture(scope="module")
def limited_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster on which a user may log in three times."""
    limit = {"SESSION_LIMIT": "3", "SESSION_LIMIT_POLICY": "deny"}
    topology = Topology.from_environment()
    topology = replace(topology, app_replicas=2, settings=(*topology.settings, *limit.items()))
    with LocalCluster(topology.on_free_ports(), Path(tmp_path_factory.mktemp("limited"))) as started:
        yield started


@each(Kind.SESSION, having=Capability.DEVICES)
async def test_the_limit_holds_for_concurrent_logins_at_all_replicas(limited_cluster: LocalCluster, info: Info) -> None:
    seen = await limit_races(limited_cluster, info, 2, ways=6)
    assert set(seen) <= {"logins 200: 3, 409: 3; alive: 3, listed: 3", "unclear"}
    assert seen["unclear"] <= 1
