"""What every strategy in the table promises. The suite knows kinds and capabilities, but no names."""

import re

import pytest
from aiohttp.test_utils import unused_port

from services.app.strategy import Capability, Info, Kind
from tests.contract.app.calls import call, page, raw
from tests.support.servers.app import Client, StartReplica, World
from tests.support.servers.valkey import Valkey
from tests.support.strategies import INFOS, each


async def test_the_catalogue_lists_all_strategies(replica: Client) -> None:
    status, _, body = await call(replica, "GET", "/strategies")
    assert status == 200
    assert [entry["name"] for entry in body] == [info.name for info in INFOS]
    assert all(set(entry) == {"name", "kind", "login", "description", "capabilities", "choose_when"} for entry in body)


async def test_every_strategy_says_in_one_sentence_when_to_choose_it(replica: Client) -> None:
    _, _, body = await call(replica, "GET", "/strategies")
    advice = [entry["choose_when"] for entry in body]
    assert all(re.fullmatch(r"Choose it when [^.]{20,140}\.", sentence) for sentence in advice), advice
    assert len(set(advice)) == len(advice)


@each()
async def test_my_page_shows_the_user_the_strategy_and_the_replica(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info, "bob")
    status, headers, body = await call(replica, "GET", f"/{info.name}/mypage", login)
    expected = {"id": "anonymous", "name": "anonymous"}
    if info.kind is not Kind.CONTROL:
        expected = {"id": "id-of-bob", "name": "bob"}
    assert (status, body) == (200, {"user": expected, "strategy": info.name, "replica": "a"})
    assert headers["Cache-Control"] == "no-store"


@each(Kind.SESSION, Kind.TOKEN)
async def test_j18_my_page_without_a_login_is_401_with_a_challenge(replica: Client, info: Info) -> None:
    status, headers, _ = await call(replica, "GET", f"/{info.name}/mypage")
    assert status == 401
    assert headers["WWW-Authenticate"]
    assert "error" not in headers["WWW-Authenticate"]  # RFC 6750 §3: no error code if there was no token


@each()
async def test_s18_replicas_decide_alike_where_the_strategy_says_so(
    replica: Client, other_replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    assert await page(replica, info, login) == 200
    assert await page(other_replica, info, login) == (200 if Capability.ANY_REPLICA in info.capabilities else 401)


@each()
async def test_logout_is_204_and_s4_kills_the_credential_where_the_strategy_says_so(
    replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    assert (await call(replica, "POST", f"/{info.name}/logout", login))[0] == 204
    assert await page(replica, info, login) == (401 if Capability.LOGOUT in info.capabilities else 200)
    assert await world.keys_in_redis() == []
    assert (await call(replica, "POST", f"/{info.name}/logout"))[0] == 204


@each()
async def test_routes_follow_from_kind_and_capabilities(replica: Client, info: Info) -> None:
    login, _, _ = await call(replica, "POST", f"/{info.name}/login", json={})
    assert login == (400 if info.kind is Kind.SESSION else 404)
    visits, _, _ = await call(replica, "POST", f"/{info.name}/visits")
    assert visits == (401 if Capability.VISITS in info.capabilities else 404)


@each()
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
    ],
    ids=str,
)
async def test_s14_a_post_from_another_origin_is_refused(
    replica: Client, world: World, info: Info, headers: dict[str, str]
) -> None:
    login = await world.login(replica, info)
    for name in ("logout", "login", "visits"):
        status, _, _ = await call(replica, "POST", f"/{info.name}/{name}", login | headers, json={})
        assert status in (403, 404)
    assert (await call(replica, "POST", f"/{info.name}/logout", login | headers))[0] == 403
    assert await page(replica, info, login) == 200


@each()
async def test_a_post_from_the_same_origin_is_accepted(replica: Client, world: World, info: Info) -> None:
    own = f"{replica.host}:{replica.port}"
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": f"http://{own}"}):
        assert (await call(replica, "POST", f"/{info.name}/logout", headers))[0] == 204


@each()
async def test_wrong_methods_and_paths(replica: Client, info: Info) -> None:
    status, headers, _ = await call(replica, "DELETE", f"/{info.name}/mypage")
    assert status == 405
    assert "GET" in headers["Allow"]
    for path in (f"/{info.name}/nothing", f"/{info.name}", f"/{info.name}/", "/nobody/mypage", "/", "/%ff", "/a%00b"):
        assert (await call(replica, "GET", path))[0] == 404


@each()
@pytest.mark.parametrize(
    "value", [b"\xff", b"\xff" * 43, b"a\xc3(", b"=;=;,\x01\x7f", b'"', b"A" * 43, b"\xe2\x98\x83"], ids=repr
)
async def test_s17_any_bytes_are_survived(replica: Client, info: Info, value: bytes) -> None:
    cookies = b"; ".join(prefix + info.name.encode() + b"-session=" + value for prefix in (b"", b"__Host-"))
    for header in (b"Cookie: " + value, b"Cookie: " + cookies, b"Authorization: Bearer " + value, b"X: " + value):
        for method, name in ((b"GET", b"mypage"), (b"POST", b"visits"), (b"POST", b"logout")):
            line = b"%s /%s/%s HTTP/1.1\r\n" % (method, info.name.encode(), name)
            answer = await raw(replica, line + b"Host: x\r\nConnection: close\r\n" + header + b"\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 400 "))  # the latter by aiohttp's parser
            assert int(answer[9:12]) < 500, answer


async def test_readiness_waits_for_the_first_keys_and_redis_only(
    start: StartReplica, world: World, own_valkey: Valkey
) -> None:
    no_redis = await start("a", redis_url=f"redis://127.0.0.1:{unused_port()}/0")
    status, _, body = await call(no_redis, "GET", "/readyz")
    while "signing keys" in body["detail"]:
        status, _, body = await call(no_redis, "GET", "/readyz")
    assert (status, "Redis" in body["detail"]) == (503, True)
    no_auth = await start("a", auth_url=f"http://127.0.0.1:{unused_port()}")
    status, _, body = await call(no_auth, "GET", "/readyz")
    assert (status, "signing keys" in body["detail"]) == (503, True)
    whole = await start("b", redis_url=own_valkey.url)
    while (await call(whole, "GET", "/readyz"))[0] != 200:
        pass
    own_valkey.kill()
    assert (await call(whole, "GET", "/readyz"))[0] == 200
