"""Clients that know only RFCs and our metadata work unmodified: Authlib, joserfc, and `jose` on Node."""

import asyncio
import base64
import json
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from loadtest.cluster.local import STATE, LocalCluster
from tests.support.clients.browsers import Browser, Browsers

pytestmark = pytest.mark.e2e

NODE_CLIENT = Path(__file__).parent / "node"
NODE_MODULES = STATE / "npm"
ROTATION_SECONDS = 30  # far above the 4 s that a new key is published for before it signs


@pytest.fixture(scope="module")
def cluster(spare_cluster: LocalCluster) -> LocalCluster:
    """Its keys may be rotated."""
    return spare_cluster


@dataclass
class Server:
    """What the metadata says, and a login."""

    metadata: dict[str, Any]
    browser: Browser


@pytest.fixture
async def server(cluster: LocalCluster, browsers: Browsers) -> Server:
    browser = await browsers.register()
    assert (await browser.log_in("/auth/login")).status == 200
    answer = await browser.http.get("/.well-known/oauth-authorization-server/auth")
    return Server(await answer.json(), browser)


# Authlib


def test_authlib_refreshes_and_revokes(server: Server) -> None:
    first = {**server.browser.tokens, "token_type": "Bearer"}
    with OAuth2Session("authscale-web", token=first, token_endpoint_auth_method="none") as client:
        renewed = client.refresh_token(server.metadata["token_endpoint"])
        assert renewed["refresh_token"] != first["refresh_token"]
        page = client.get(f"{server.metadata['issuer'].removesuffix('/auth')}/jwt/mypage")  # it sends the new one
        assert (page.status_code, page.json()["user"]["name"]) == (200, server.browser.username)
        revoked = client.revoke_token(  # type: ignore[no-untyped-call]  # its stubs say so
            server.metadata["revocation_endpoint"], token=renewed["refresh_token"], token_type_hint="refresh_token"
        )
        assert revoked.status_code == 200
        with pytest.raises(Exception, match="invalid_grant"):
            client.refresh_token(server.metadata["token_endpoint"])


def test_authlib_introspects(cluster: LocalCluster, server: Server) -> None:
    with OAuth2Session("app", cluster.secret("app-client-secret")) as client:

        def introspect(token: str) -> dict[str, Any]:
            body: dict[str, Any] = client.introspect_token(
                server.metadata["introspection_endpoint"], token=token
            ).json()
            return body

        token = introspect(server.browser.tokens["access_token"])
        assert (token["active"], token["username"]) == (True, server.browser.username)
        assert introspect(server.browser.tokens["refresh_token"])["active"] is True
        assert introspect("nonsense") == {"active": False}
    with OAuth2Session("app", "not its secret") as stranger:
        answer = stranger.introspect_token(server.metadata["introspection_endpoint"], token="x")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


# joserfc


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")  # it names the curve; few libraries know it yet
def test_joserfc_verifies_with_our_jwks(server: Server) -> None:
    keys = KeySet.import_key_set(requests.get(server.metadata["jwks_uri"], timeout=5).json())
    algorithms = server.metadata["access_token_signing_alg_values_supported"]
    token = jwt.decode(server.browser.tokens["access_token"], keys, algorithms=algorithms)
    assert token.header["typ"] == "at+jwt"
    assert token.claims["preferred_username"] == server.browser.username
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": server.metadata["issuer"]}, aud={"essential": True, "value": "authscale"}
    ).validate(token.claims)


# jose, on Node


class NodeClient:
    """A Node process that verifies one token after another with the same key set."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def verify(self, token: str) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(token).encode() + b"\n")
        async with asyncio.timeout(20):
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer


async def npm_install() -> None:
    """Install `jose` as package.json says, unless it is there; skip the test where that is not possible."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node and npm are not on this machine")
    NODE_MODULES.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "verify.mjs"):
        shutil.copy(NODE_CLIENT / name, NODE_MODULES)
    wanted = json.loads((NODE_CLIENT / "package.json").read_text())["dependencies"]["jose"]
    installed = NODE_MODULES / "node_modules/jose/package.json"
    if installed.exists() and json.loads(installed.read_text())["version"] == wanted:
        return
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    npm = await asyncio.create_subprocess_exec(
        "npm",
        "install",
        "--prefix",
        str(NODE_MODULES),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await npm.communicate()
    if npm.returncode:
        pytest.skip(f"npm cannot install jose: {output.decode(errors='replace').strip()[-200:]}")


@pytest.fixture
async def node(server: Server) -> AsyncIterator[NodeClient]:
    await npm_install()
    process = await asyncio.create_subprocess_exec(
        "node",
        "verify.mjs",
        server.metadata["jwks_uri"],
        server.metadata["issuer"],
        "authscale",
        cwd=NODE_MODULES,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield NodeClient(process)
    assert process.stdin
    process.stdin.close()
    await process.wait()


async def test_jose_verifies_only_access_tokens(server: Server, node: NodeClient) -> None:
    token = server.browser.tokens["access_token"]
    assert (await node.verify(token))["claims"]["preferred_username"] == server.browser.username
    assert "error" in await node.verify(server.browser.tokens["refresh_token"])  # J7
    assert "error" in await node.verify(token[:-8] + "AAAAAAAA")


async def test_j17_jose_keeps_verifying_across_a_rotation(
    cluster: LocalCluster, browsers: Browsers, server: Server, node: NodeClient
) -> None:
    admin = browsers.open("admin", cluster.secret("admin-password"))
    assert (await admin.log_in("/auth/login")).status == 200
    before = server.browser.tokens["access_token"]
    old_kid = (await node.verify(before))["kid"]
    headers = {"Authorization": f"Bearer {admin.tokens['access_token']}"}
    async with admin.http.post("/auth/admin/keys/rotate", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        planned = await answer.json()
    assert planned["kid"] != old_kid
    until = time.monotonic() + ROTATION_SECONDS
    kid = old_kid
    while kid != planned["kid"]:  # every token on the way is good to a verifier that only reads the JWKS
        assert time.monotonic() < until, "the new key does not sign"
        token = await refreshed(server)
        verified = await node.verify(token)
        assert "error" not in verified, verified
        kid = verified["kid"]
        assert (await server.browser.get("/jwt/mypage")).status == 200
    assert kid_of(await refreshed(server)) == planned["kid"]
    assert (await node.verify(before))["kid"] == old_kid  # tokens of the old key live on until they expire


async def refreshed(server: Server) -> str:
    form = {"grant_type": "refresh_token", "refresh_token": server.browser.tokens["refresh_token"]}
    async with server.browser.http.post("/auth/token", data=form) as answer:
        server.browser.tokens = await answer.json()
        assert answer.status == 200, server.browser.tokens
    return server.browser.tokens["access_token"]


def kid_of(token: str) -> str:
    header = token.partition(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid
