"""How contract tests call the auth service."""

from typing import Any

from aiohttp import ClientResponse

from tests.support.servers.auth import Client

ANN = {"username": "ann", "password": "correct horse"}
APP = {"Authorization": "Basic YXBwOnRoZSBhcHAncyBvd24gc2VjcmV0"}
GRACE = 10
METADATA = "/.well-known/oauth-authorization-server"


async def log_in(client: Client) -> dict[str, Any]:
    answer = await client.post("/auth/login", json=ANN)
    assert answer.status == 200
    return dict(await answer.json())


async def refresh(client: Client, token: str, **more: str) -> ClientResponse:
    form = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return await client.post("/auth/token", data=form)


async def next_token(client: Client, token: str) -> str:
    answer = await refresh(client, token)
    assert answer.status == 200, await answer.text()
    return str((await answer.json())["refresh_token"])


async def assert_invalid_grant(answer: ClientResponse) -> None:
    assert answer.status == 400
    assert (await answer.json())["error"] == "invalid_grant"


async def assert_problem(answer: ClientResponse, status: int, kind: str | None = None) -> None:
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    if kind:
        assert (await answer.json())["type"] == f"urn:authscale:problem:{kind}"
