"""The OpenAPI description as served: `services/common/openapi.yaml` with the names of the strategies."""

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from aiohttp.typedefs import Handler

import services.common

SOURCE = Path(services.common.__file__).parent / "openapi.yaml"
HEADERS = {"Content-Type": "application/json", "Cache-Control": "public, max-age=60"}
VARIABLE = "{strategy}"
ENCODED = {"$ref": "#/components/responses/UnsupportedMediaType"}


def describe(served: Iterable[str]) -> dict[str, Any]:
    """Return the OpenAPI document. `{strategy}` stands for the strategies that have the page, by the *served* paths."""
    document: dict[str, Any] = json.loads(_source())
    document["info"]["version"] = services.__version__
    pages = dict.fromkeys(path.removeprefix("/").partition("/")[::2] for path in served)
    for path, item in document["paths"].items():
        if path.startswith(f"/{VARIABLE}/"):
            names = [name for name, page in pages if path == f"/{VARIABLE}/{page}"]
            parameter = {"name": "strategy", "in": "path", "required": True, "schema": {"enum": names}}
            item["parameters"] = [*item.get("parameters", []), parameter]
        for operation in (item[method] for method in item if method != "parameters"):
            operation["responses"].setdefault("415", ENCODED)  # no operation accepts an encoded body
    return document


def description(served: Iterable[str]) -> Handler:
    """Return the handler of `GET /openapi.json`. *served* are the paths of the pages."""
    body = json.dumps(describe(served)).encode()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=HEADERS)

    return answer


@functools.cache
def _source() -> str:
    """Return the YAML as JSON: YAML is easier to write, JSON loads faster."""
    return json.dumps(yaml.safe_load(SOURCE.read_text(encoding="utf-8")))
