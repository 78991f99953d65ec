"""Whatever can be read without a key is found, and nothing else is."""

import base64
import json
import secrets
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.attacks.reading import facts, members
from loadtest.experiments import exposure
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, context, measured, results, serve

NAME, ID = "user-0123456789abcdef", "6f1c2d3e-1111-4222-8333-123456789abc"
WRITTEN: dict[str, Callable[[bytes], str]] = {
    "as it is": lambda data: data.decode("latin-1"),
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64url after other letters": lambda data: "xyz" + base64.urlsafe_b64encode(data).decode().rstrip("="),
    "hexadecimal": bytes.hex,
    "a part": lambda data: f"s%3A1.{base64.urlsafe_b64encode(data).decode()}.signature",
    "compressed": lambda data: base64.urlsafe_b64encode(zlib.compress(data)).decode(),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_names_are_found_however_they_are_written(how: str) -> None:
    assert facts(WRITTEN[how](b'{"name": "' + NAME.encode() + b'"}'), {"name": NAME}, 0) == ["name"]


@pytest.mark.parametrize("form", [ID.encode(), ID.replace("-", "").encode(), bytes.fromhex(ID.replace("-", ""))])
def test_ids_are_found_in_any_form(form: bytes) -> None:
    assert facts(base64.urlsafe_b64encode(b"x" + form).decode(), {"id": ID}, 0) == ["id"]


@pytest.mark.parametrize("form", [b"at 1700000003.", b"\x80" + (1700000003).to_bytes(8, "big") + b"rest"])
def test_the_time_is_found(form: bytes) -> None:
    assert facts(base64.urlsafe_b64encode(form).decode(), {}, 1700000000) == ["time"]
    assert facts(base64.urlsafe_b64encode(form).decode(), {}, 1800000000) == []


def test_random_letters_say_nothing() -> None:
    for _ in range(200):
        assert facts(secrets.token_urlsafe(64), {"name": NAME, "id": ID}, time.time()) == []


def test_members_are_named() -> None:
    assert members(base64.urlsafe_b64encode(json.dumps({"sub": 1, "exp": 2}).encode()).decode() + ".x") == [
        "sub",
        "exp",
    ]


class Telltale(FakeApp):
    """Its credentials begin with the user's name, in base64."""

    def credential(self, name: str) -> str:
        key = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=") + secrets.token_hex(8)
        self.logins[key] = name
        return key


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        (FakeApp, "not for the session cookie of memory, the access token of jwt and the refresh token of jwt"),
        (Telltale, "holds for the session cookie of memory, the access token of jwt and the refresh token of jwt"),
    ],
)
async def test_who_says_the_user_s_name_is_told_on(tmp_path: Path, fake: type[FakeApp], expected: str) -> None:
    async with serve(fake()) as cluster:
        found = await measured("exposure", await context(cluster, tmp_path))
    judged = exposure.readable(View(results(*found, memory="session", jwt="token")))
    assert judged is not None
    assert judged[1] == expected
    linked = {f.strategy for f in found if f.metric == "logins_linked" and f.value}
    assert linked == ({"memory", "jwt"} if fake is Telltale else set())


async def test_a_reader_that_finds_nothing_gives_no_verdict(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await measured("exposure", await context(cluster, tmp_path))
    blind = [f for f in found if (f.strategy, f.metric) != (exposure.PLANTED, "readable_facts")]
    assert exposure.readable(View(results(*blind, memory="session", jwt="token"))) is None
