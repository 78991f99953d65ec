"""The description of the whole HTTP contract, as served: `services/common/openapi.yaml` with the strategies' names."""

import functools
import json
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

import services.common

SOURCE = Path(services.common.__file__).parent / "openapi.yaml"
HEADERS = {"Content-Type": "application/json", "Cache-Control": "public, max-age=60"}
VARIABLE = "{strategy}"


def describe(router: web.UrlDispatcher) -> dict[str, Any]:
    """Return the OpenAPI document. In each path, `{strategy}` can be what *router* serves that page for."""
    document: dict[str, Any] = json.loads(_source())
    served = dict.fromkeys(route.resource.canonical for route in router.routes() if route.resource)
    for path, item in document["paths"].items():
        if VARIABLE in path:
            page = path.partition(VARIABLE)[2]
            names = [other.removeprefix("/").removesuffix(page) for other in served if other.endswith(page)]
            parameter = {"name": "strategy", "in": "path", "required": True, "schema": {"enum": names}}
            item["parameters"] = [*item.get("parameters", []), parameter]
    return document


def add_description(router: web.UrlDispatcher) -> None:
    """Serve the description of what *router* has so far, at `GET /openapi.json`."""
    body = json.dumps(describe(router)).encode()

    async def description(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=HEADERS)

    router.add_get("/openapi.json", description)


@functools.cache
def _source() -> str:
    """Return the YAML as JSON: the one is better to write, the other is quick to read."""
    return json.dumps(yaml.safe_load(SOURCE.read_text(encoding="utf-8")))
