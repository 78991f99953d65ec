"""Compares answers with the OpenAPI description and reports every difference."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
from aiohttp import hdrs, web

from services.app.http.openapi import VARIABLE, describe
from tests.support.servers.app import replica

Seen = tuple[str, str, str]
"""Path as described, method, status."""


def idle_replica() -> web.Application:
    """Return a replica for inspection, which never runs."""
    values = {
        "port": 0,
        "replica": "-",
        "issuer": "-",
        "redis_url": "redis://localhost:1",
        "redis_password": "-",
        "app_client_secret": "-",
        "auth_urls": "http://localhost:1",
        "cookie_keys": "A" * 43 + "=",
    }
    return replica(values)


def routes_of(app: web.Application) -> list[tuple[str, str]]:
    """Return path and method of every route except the catch-all ones."""
    return [
        (route.resource.canonical, route.method)
        for route in app.router.routes()
        if route.resource and route.method not in (hdrs.METH_HEAD, "*")
    ]


class Description:
    """The document that the replicas serve."""

    def __init__(self) -> None:
        self.document = describe(path for path, _ in routes_of(idle_replica()))
        self.operations = {
            (path, method.upper()): operation
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        }
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def path(self, canonical: str) -> str:
        """Return the described path of a route or a request: `/redis/mypage` is one of `/{strategy}/mypage`."""
        general = f"/{VARIABLE}/{canonical.removeprefix('/').partition('/')[2]}"
        paths = self.document["paths"]
        return general if canonical not in paths and general in paths else canonical

    def faults(self, path: str, method: str, response: web.StreamResponse) -> Iterator[str]:
        """Yield the differences from the description."""
        operation = self.operations.get((path, method))
        if operation is None:
            yield "not described"
            return
        described = operation["responses"].get(str(response.status))
        if described is None:
            yield "this status is not described"
            return
        described = self.resolved(described)
        for name, header in described.get("headers", {}).items():
            yield from self._header_faults(name, self.resolved(header), response)
        yield from self._body_faults(described.get("content"), response)

    def _header_faults(self, name: str, header: dict[str, Any], response: web.StreamResponse) -> Iterator[str]:
        value = response.headers.get(name)
        if value is None:
            if header.get("required"):
                yield f"no {name}"
        else:
            yield from (f"{name}: {error}" for error in self._errors(header["schema"], value))

    def _body_faults(self, content: dict[str, Any] | None, response: web.StreamResponse) -> Iterator[str]:
        body = response.body if isinstance(response, web.Response) else None
        if content is None or not isinstance(body, bytes):
            if body:
                yield "a body where none is described"
        elif response.content_type not in content:
            yield f"{response.content_type} is not described"
        elif response.content_type.endswith("json"):
            schema = content[response.content_type]["schema"]
            yield from self._errors(schema, json.loads(body))

    def _errors(self, schema: dict[str, Any], value: Any) -> Iterator[str]:
        text = json.dumps(schema)
        if text not in self._validators:
            # JSON Schema's own keywords beside `components`, where the references point to.
            whole = {**schema, "components": self.document["components"]}
            self._validators[text] = jsonschema_rs.Draft202012Validator(whole)
        yield from (error.message for error in self._validators[text].iter_errors(value))

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self.document
            for key in node["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            node = found
        return node


class Recorder:
    """Compares every answer of the applications that it watches."""

    def __init__(self) -> None:
        self.description = Description()
        self.seen: set[Seen] = set()
        self.faults: list[str] = []

    def watch(self, app: web.Application) -> None:
        """Compare all answers of *app* from now on. The app must not have started yet."""

        async def compare(request: web.Request, response: web.StreamResponse) -> None:
            route = request.match_info.route
            none = route.method == "*" or route.resource is None
            path = self.description.path(request.path if none or not route.resource else route.resource.canonical)
            method = request.method.replace("HEAD", "GET")
            if none and (path, method) not in self.description.operations:
                return  # there is no such path
            self.seen.add((path, method, str(response.status)))
            for fault in self.description.faults(path, method, response):
                self.faults.append(f"{method} {path} {response.status}: {fault}")

        app.on_response_prepare.append(compare)
