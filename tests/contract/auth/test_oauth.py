"""The OAuth endpoints follow their RFCs: who may call them, what they answer, how they refuse."""

from typing import Any

import jwt
import pytest
from aiohttp import ClientResponse, encode_basic_auth

from services.auth.application import PARTS
from tests.contract.auth.calls import (
    ANN,
    APP,
    GRACE,
    METADATA,
    assert_invalid_grant,
    assert_problem,
    log_in,
    next_token,
    refresh,
)
from tests.support.clock import ManualClock
from tests.support.servers.auth import ISSUER, Client, StartAuth
from tests.support.servers.valkey import Valkey

pytest_plugins = ("tests.support.servers.auth_fixtures",)

TOKEN, REVOKE, INTROSPECT = "/auth/token", "/auth/revoke", "/auth/introspect"
INACTIVE = {"active": False}


@pytest.fixture
async def auth(start_auth: StartAuth) -> Client:
    """A service that knows ann."""
    client = await start_auth()
    assert (await client.post("/auth/users", json=ANN)).status == 201
    return client


async def introspect(client: Client, token: str, **more: str) -> dict[str, Any]:
    answer = await client.post(INTROSPECT, data={"token": token, **more}, headers=APP)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    return dict(await answer.json())


async def assert_oauth_error(answer: ClientResponse, status: int, code: str) -> None:
    assert answer.status == status, await answer.text()
    assert (await answer.json())["error"] == code
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


# Introspection


async def test_t8_an_access_token_is_introspected(auth: Client) -> None:
    body = await log_in(auth)
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    expected = {"active": True, "token_use": "access_token", "token_type": "Bearer", "username": "ann"}
    told = {name: value for name, value in claims.items() if name != "preferred_username"}
    assert await introspect(auth, body["access_token"]) == expected | told
    assert claims["iss"] == ISSUER


async def test_t8_a_refresh_token_is_introspected(auth: Client) -> None:
    token = (await log_in(auth))["refresh_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    body = await introspect(auth, token)
    assert (body["active"], body["token_use"], body["username"]) == (True, "refresh_token", "ann")
    assert {name: body[name] for name in ("iss", "sub", "aud", "exp", "iat", "client_id", "sid")} == {
        name: claims[name] for name in ("iss", "sub", "aud", "exp", "iat", "client_id", "sid")
    }


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "saml2_token", ""])
async def test_t8_a_wrong_hint_does_no_harm(auth: Client, hint: str) -> None:
    body = await log_in(auth)
    for token in (body["access_token"], body["refresh_token"]):
        assert (await introspect(auth, token, token_type_hint=hint))["active"] is True
    assert (await auth.post(REVOKE, data={"token": body["refresh_token"], "token_type_hint": hint})).status == 200
    await assert_invalid_grant(await refresh(auth, body["refresh_token"]))


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "\xff", "x" * 10_000, "..", " "])
async def test_t8_an_unknown_token_is_inactive_and_nothing_more_is_told(auth: Client, token: str) -> None:
    assert await introspect(auth, token) == INACTIVE


async def test_t8_a_token_is_inactive_once_it_has_expired(auth: Client, clock: ManualClock) -> None:
    body = await log_in(auth)
    clock.now += 311  # and 10 s of leeway
    assert await introspect(auth, body["access_token"]) == INACTIVE
    assert (await introspect(auth, body["refresh_token"]))["active"] is True
    clock.now += 14 * 24 * 60 * 60
    assert await introspect(auth, body["refresh_token"]) == INACTIVE


async def test_t8_tokens_are_inactive_once_their_login_has_ended(auth: Client) -> None:
    body, other = await log_in(auth), await log_in(auth)
    assert (await auth.post(REVOKE, data={"token": body["refresh_token"]})).status == 200
    assert await introspect(auth, body["access_token"]) == INACTIVE
    assert await introspect(auth, body["refresh_token"]) == INACTIVE
    assert (await introspect(auth, other["access_token"]))["active"] is True


async def test_s11_tokens_of_a_disabled_account_are_inactive(auth: Client) -> None:
    body = await log_in(auth)
    await auth.app[PARTS].accounts.set_disabled(body["user"]["id"], True)  # and its logins are not ended
    assert await introspect(auth, body["access_token"]) == INACTIVE
    assert await introspect(auth, body["refresh_token"]) == INACTIVE


async def test_t8_only_the_newest_refresh_token_is_active_and_introspection_ends_no_login(
    auth: Client, clock: ManualClock
) -> None:
    first = (await log_in(auth))["refresh_token"]
    second = await next_token(auth, first)
    clock.now += GRACE + 1
    assert await introspect(auth, first) == INACTIVE  # using it would look like theft
    assert (await introspect(auth, second))["active"] is True
    assert await next_token(auth, second)


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("Bearer x", id="another scheme"),
        pytest.param("Basic ?", id="not base64"),
        pytest.param(encode_basic_auth("app", "wrong"), id="wrong secret"),
        pytest.param(encode_basic_auth("authscale-web", ""), id="a public client"),
        pytest.param(encode_basic_auth("other", "the app's own secret"), id="unknown client"),
    ],
)
async def test_t8_introspection_needs_client_authentication(auth: Client, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for form in ({"token": (await log_in(auth))["access_token"]}, {}):
        answer = await auth.post(INTROSPECT, data=form, headers=headers)
        await assert_oauth_error(answer, 401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_introspection_without_a_token_is_invalid_request(auth: Client) -> None:
    await assert_oauth_error(await auth.post(INTROSPECT, data={"x": "y"}, headers=APP), 400, "invalid_request")


async def test_t8_with_redis_away_a_token_is_not_called_inactive(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    auth = await start_auth(frail_valkey)
    await auth.post("/auth/users", json=ANN)
    body = await log_in(auth)
    frail_valkey.kill()
    for token in (body["access_token"], body["refresh_token"]):
        await assert_problem(await auth.post(INTROSPECT, data={"token": token}, headers=APP), 503, "unavailable")
        await assert_problem(await auth.post(REVOKE, data={"token": token}), 503, "unavailable")
    assert await introspect(auth, "nonsense") == INACTIVE  # that needs no Redis


# Revocation


async def test_t8_an_access_token_revokes_its_login(auth: Client) -> None:
    body, other = await log_in(auth), await log_in(auth)
    assert (await auth.post(REVOKE, data={"token": body["access_token"]})).status == 200
    await assert_invalid_grant(await refresh(auth, body["refresh_token"]))
    assert await introspect(auth, body["access_token"]) == INACTIVE
    assert await next_token(auth, other["refresh_token"])


async def test_t8_a_token_is_revoked_by_its_own_client_only(auth: Client) -> None:
    token = (await log_in(auth))["refresh_token"]
    await assert_oauth_error(await auth.post(REVOKE, data={"token": token}, headers=APP), 400, "invalid_grant")
    assert (await auth.post(REVOKE, data={"token": "nonsense"}, headers=APP)).status == 200
    token = await next_token(auth, token)
    assert (await auth.post(REVOKE, data={"token": token, "client_id": "authscale-web"})).status == 200
    await assert_invalid_grant(await refresh(auth, token))


# Clients at the token endpoint


@pytest.mark.parametrize("path", [TOKEN, REVOKE])
@pytest.mark.parametrize(
    ("form", "authorization"),
    [
        pytest.param({"client_id": "somebody-else"}, None, id="unknown client"),
        pytest.param({"client_id": "app"}, None, id="one that must authenticate"),
        pytest.param({"client_id": "app", "client_secret": "the app's own secret"}, None, id="secret in the body"),
        pytest.param({"client_id": "authscale-web", "client_secret": "x"}, None, id="a public client's secret"),
        pytest.param({}, encode_basic_auth("app", "wrong"), id="wrong secret"),
        pytest.param({}, "Bearer x", id="another scheme"),
        pytest.param({"client_id": "authscale-web"}, APP["Authorization"], id="two clients"),
    ],
)
async def test_a_client_that_fails_authentication_is_invalid_client_and_the_token_stays_valid(
    auth: Client, path: str, form: dict[str, str], authorization: str | None
) -> None:
    token = (await log_in(auth))["refresh_token"]
    whole = {"grant_type": "refresh_token", "refresh_token": token, "token": token, **form}
    headers = {"Authorization": authorization} if authorization else {}
    await assert_oauth_error(await auth.post(path, data=whole, headers=headers), 401, "invalid_client")
    assert await next_token(auth, token)


async def test_t7_a_token_of_another_client_is_refused_and_stays_valid(auth: Client) -> None:
    ann = await auth.app[PARTS].accounts.by_name("ann")
    assert ann
    token = (await auth.app[PARTS].logins.begin(ann, "another-client")).refresh_token
    await assert_invalid_grant(await refresh(auth, token, client_id="authscale-web"))
    assert await next_token(auth, token)


async def test_a_client_without_logins_is_unauthorized_client(auth: Client) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": (await log_in(auth))["refresh_token"]}
    await assert_oauth_error(await auth.post(TOKEN, data=form, headers=APP), 400, "unauthorized_client")


async def test_any_scope_is_invalid_scope_and_the_token_stays_valid(auth: Client) -> None:
    token = (await log_in(auth))["refresh_token"]
    await assert_oauth_error(await refresh(auth, token, scope="admin"), 400, "invalid_scope")
    assert (await refresh(auth, token, scope="")).status == 200  # a parameter without a value is none (RFC 6749 §3.2)


async def test_unknown_parameters_are_ignored(auth: Client) -> None:  # RFC 6749 §3.2
    assert (await refresh(auth, (await log_in(auth))["refresh_token"], colour="blue")).status == 200


# Metadata


async def test_t9_the_metadata_is_true(auth: Client) -> None:
    metadata = await (await auth.get(METADATA)).json()
    body = await log_in(auth)
    header = jwt.get_unverified_header(body["access_token"])
    assert metadata["access_token_signing_alg_values_supported"] == [header["alg"]]
    assert metadata["introspection_endpoint_auth_methods_supported"] == ["client_secret_basic"]
    assert metadata["token_endpoint_auth_methods_supported"] == ["none"]
    for name, path in (("token", TOKEN), ("revocation", REVOKE), ("introspection", INTROSPECT)):
        assert metadata[f"{name}_endpoint"] == f"{ISSUER}{path.removeprefix('/auth')}"
        assert (await auth.post(path)).status in (400, 401)  # there is something
    assert metadata["jwks_uri"] == f"{ISSUER}/jwks.json"
    for grant in metadata["grant_types_supported"]:
        answer = await auth.post(TOKEN, data={"grant_type": grant})
        assert (await answer.json())["error"] == "invalid_request"  # the token is missing, the grant is known
