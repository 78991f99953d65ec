"""How contract tests call a replica, with the checks that hold for every answer."""

import asyncio
import json
from typing import Any

from services.app.strategy import Info
from tests.support.servers.app import Client


async def call(client: Client, method: str, path: str, headers: Any = None, **options: Any) -> tuple[int, Any, Any]:
    """Return status, headers and JSON, after checks that hold for every answer."""
    async with client.request(method, path, headers=headers, **options) as response:
        body = await response.read()
    assert response.headers["X-Replica"] in ("a", "b")
    if response.status >= 400:
        assert response.content_type == "application/problem+json"
        assert set(json.loads(body)) == {"type", "title", "status", "detail"}
    return response.status, response.headers, json.loads(body) if body else None


async def page(client: Client, info: Info, login: Any) -> int:
    """Return the status of my page. A cookie that is renewed by it is kept in *login*, as a browser does."""
    status, headers, body = await call(client, "GET", f"/{info.name}/mypage", login)
    assert status != 200 or body["strategy"] == info.name
    keep(login, headers)
    return status


async def visit(client: Client, info: Info, login: dict[str, str]) -> tuple[int, int]:
    """Return status and number of one more visit."""
    status, headers, body = await call(client, "POST", f"/{info.name}/visits", login)
    keep(login, headers)
    return status, body.get("visits", 0)


async def logout(client: Client, info: Info, login: dict[str, str]) -> int:
    """Log out; *login* keeps its credential, so that a test can check whether it is dead."""
    return (await call(client, "POST", f"/{info.name}/logout", login))[0]


async def post_login(client: Client, info: Info, headers: Any = None, **body: Any) -> tuple[int, Any, Any]:
    return await call(client, "POST", str(info.login), headers, json={"username": "alice"} | body)


def keep(login: Any, headers: Any) -> None:
    if isinstance(login, dict) and "Set-Cookie" in headers:
        login["Cookie"] = headers["Set-Cookie"].partition(";")[0]


async def raw(client: Client, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(request)
    async with asyncio.timeout(2):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def until(status: int, ask: Any, *args: Any, seconds: float = 5) -> None:
    """Ask until the answer is *status*."""
    async with asyncio.timeout(seconds):
        while await ask(*args) != status:  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.01)
