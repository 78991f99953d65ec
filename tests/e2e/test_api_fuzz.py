"""Valid and invalid requests made from our own OpenAPI description, against a real cluster (schemathesis)."""

import json
import urllib.request
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckFunction, load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks as openapi

from loadtest.cluster.local import LocalCluster
from tests.support.openapi import Description

pytestmark = pytest.mark.e2e

EXAMPLES = 40  # per operation and kind; schemathesis adds its own for the edges of each schema
load_all_checks()
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
]


def post(url: str, body: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        content: dict[str, Any] = json.load(answer)
        return content


@pytest.fixture
def headers(spare_cluster: LocalCluster) -> dict[str, dict[str, str]]:
    """Credentials by security scheme, from a new login for each operation, since some operations end them."""
    admin = {"username": "admin", "password": spare_cluster.secret("admin-password")}
    token = post(f"{spare_cluster.url}/auth/login", admin)["access_token"]
    client = aiohttp.encode_basic_auth("app", spare_cluster.secret("app-client-secret"))
    return {"bearer": {"Authorization": f"Bearer {token}"}, "client": {"Authorization": client}}


schema = schemathesis.openapi.from_dict(Description().document)  # what is served (tests/contract/test_openapi.py)
reachable = schema.exclude(lambda context: context.operation.definition.raw.get("x-internal", False))


@reachable.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_s17_every_answer_is_as_described(
    case: schemathesis.Case[Any], spare_cluster: LocalCluster, headers: dict[str, dict[str, str]]
) -> None:
    schemes = [name for choice in case.operation.definition.raw.get("security", []) for name in choice]
    credentials = next((headers[name] for name in schemes if name in headers), {})
    case.call_and_validate(base_url=spare_cluster.url, headers=credentials, checks=CHECKS, timeout=10)
