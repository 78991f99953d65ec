"""The OpenAPI description is true of every route and of every answer in the contract tests (`support.openapi`)."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.app.http.openapi import VARIABLE
from services.auth.application import create_app as create_auth
from tests.contract.auth.calls import ANN, APP
from tests.support.openapi import Description, Recorder, idle_replica, routes_of
from tests.support.servers.app import Client
from tests.support.servers.auth import Client as AuthClient
from tests.support.servers.auth import StartAuth, auth_settings
from tests.support.servers.valkey import Valkey

pytest_plugins = ("tests.support.servers.auth_fixtures",)

DESCRIPTION = Description()


def routes(app: web.Application) -> set[tuple[str, str]]:
    return {(DESCRIPTION.path(path), method) for path, method in routes_of(app)}


def test_every_route_of_both_services_is_described_and_nothing_else(tmp_path: Path, auth_valkey: Valkey) -> None:
    auth = create_auth(auth_settings(tmp_path, auth_valkey))
    assert routes(idle_replica()) | routes(auth) == set(DESCRIPTION.operations)


async def test_it_is_served(replica: Client) -> None:
    answer = await replica.get("/openapi.json")
    assert answer.status == 200
    document = await answer.json()
    assert document == DESCRIPTION.document
    assert document["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere() -> None:
    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                DESCRIPTION.resolved(node)
            for child in node.values():
                check(child)
        elif isinstance(node, list):
            for child in node:
                check(child)

    check(DESCRIPTION.document)


# Answers that no other test asks for


def statements(folder: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "auth.sqlite")) as database, database:
        database.execute(statement)


async def administrator(client: AuthClient) -> dict[str, str]:
    body = {"username": "admin", "password": "the administrator's password"}
    answer = await client.post("/auth/login", json=body)
    return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


async def test_bodies_over_the_limit_are_413(start_auth: StartAuth) -> None:
    auth = await start_auth()
    headers = APP | {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/auth/token", "/auth/revoke", "/auth/introspect"):
        assert (await auth.post(path, data=b"x" * 20_000, headers=headers)).status == 413
    bearer = await administrator(auth)
    assert (await auth.post("/auth/password", data=b"{}", headers=bearer)).status == 415
    too_long = await auth.post(
        "/auth/password", data=b" " * 20_000, headers=bearer | {"Content-Type": "application/json"}
    )
    assert too_long.status == 413


async def test_s17_encoded_bodies_are_refused_everywhere(replica: Client, start_auth: StartAuth) -> None:
    """RFC 9110 §15.5.16."""
    auth = await start_auth()
    for path, method in DESCRIPTION.operations:
        client = auth if path.startswith(("/auth/", "/.well-known/")) else replica
        url = path.replace(VARIABLE, "redis")
        answer = await client.request(method, url, data=b"{}", headers={"Content-Encoding": "br"})
        assert (answer.status, answer.headers.get("Accept-Encoding")) == (415, "identity"), path
        plain = await client.request(method, url, data=b"{}", headers={"Content-Encoding": "Identity"})
        assert "Accept-Encoding" not in plain.headers


async def test_administrators_get_404_for_unknown_users(start_auth: StartAuth) -> None:
    auth = await start_auth()
    bearer = await administrator(auth)
    for action in ("logout", "disable", "enable"):
        assert (await auth.post(f"/auth/admin/users/{'0' * 32}/{action}", headers=bearer)).status == 404


async def test_without_the_account_database_the_answer_is_503(start_auth: StartAuth, tmp_path: Path) -> None:
    auth = await start_auth()
    bearer = await administrator(auth)
    statements(tmp_path, "ALTER TABLE users RENAME TO elsewhere")
    for action in ("logout", "disable", "enable"):
        assert (await auth.post(f"/auth/admin/users/{'0' * 32}/{action}", headers=bearer)).status == 503
    assert (await auth.delete("/auth/admin/keys/x", headers=bearer)).status == 503
    assert (await auth.post("/auth/users", json=ANN)).status == 503
    assert (await auth.post("/auth/password/check", json=ANN, headers=APP)).status == 503


async def test_health_and_metrics_are_answered(replica: Client) -> None:
    assert (await replica.get("/healthz")).status == 200
    assert (await replica.get("/metrics")).status == 200


async def test_an_unknown_strategy_is_404(replica: Client) -> None:
    assert (await replica.get("/telepathy/mypage")).status == 404
    for page in ("login", "visits", "logout"):
        assert (await replica.post(f"/telepathy/{page}")).status == 404


@pytest.mark.last
def test_each_status_of_each_operation_was_seen(request: pytest.FixtureRequest, recorder: Recorder) -> None:
    """With `tests.support.openapi`: every answer is described, and every described answer occurs."""
    modules = {item.path for item in request.session.items}
    chosen = any("::" in argument for argument in request.config.args) or request.config.getoption("keyword")
    if chosen or not set(Path(__file__).parent.rglob("test_*.py")) <= modules:
        pytest.skip("only known after the whole of tests/contract")
    described = {
        (path, method, status)
        for (path, method), operation in DESCRIPTION.operations.items()
        for status in operation["responses"]
    }
    never = sorted(described - recorder.seen)
    assert not never, "\n" + "\n".join(map(" ".join, never))
