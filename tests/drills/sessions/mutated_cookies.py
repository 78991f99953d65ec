"""S17: session cookies a few steps away from a valid one, and arbitrary bytes, at every entrance of a cluster."""

import asyncio
import base64
import binascii
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from typing import NamedTuple

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Capability, Info
from tests.drills.progress import Told, nobody
from tests.support.attacks.mutants import ALPHABET, mutants
from tests.support.clients.raw_http import RawConnection
from tests.support.clients.strategy import site_of

CALLS = [*[(b"GET", "mypage")] * 8, (b"POST", "visits"), (b"POST", "logout")]
ANY_BYTE = bytes(byte for byte in range(256) if byte not in b"\r\n")  # those end a header: they cannot be in one
PIECES = [b";", b"; ", b"=", b",", b'"', b"\\", b"%00", b"$Version=1", b"\x00", b"\xff", b"\xed\xa0\x80", b"\t", b" "]


class Attempt(NamedTuple):
    """What is sent as `Cookie`, and its sort."""

    sort: str
    cookie: bytes


def attempts(name: str, value: str, count: int, seed: int) -> Iterator[Attempt]:
    """Yield *count* cookies that are not *name* with *value*: the same ones for a *seed*."""
    for mutant in mutants(value, count // 2, seed):
        yield Attempt("another spelling" if spells_the_same(mutant, value) else "mutant", f"{name}={mutant}".encode())
    chance = random.Random(seed)
    for _ in range(count - count // 2):
        cookie = _bytes(name.encode(), len(value), chance)
        yield Attempt("no header's bytes" if _is_control(cookie) else "bytes", cookie)


def spells_the_same(text: str, value: str) -> bool:
    """Return whether *text* is base64url of the same bytes: some bits of the last letter may mean nothing."""
    try:
        return len(text) == len(value) and _decoded(text) == _decoded(value)
    except (binascii.Error, ValueError):
        return False


def other_spellings(value: str) -> list[str]:
    """Return the other base64url spellings of *value*."""
    return [text for last in ALPHABET if (text := value[:-1] + last) != value and spells_the_same(text, value)]


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def _bytes(name: bytes, length: int, chance: random.Random) -> bytes:
    match chance.randrange(5):
        case 0:  # anything at all
            return _some(ANY_BYTE, chance.randrange(300), chance)
        case 1:
            return name + b"=" + _some(ANY_BYTE, chance.randrange(300), chance)
        case 2:  # well-formed, and never issued
            return name + b"=" + _some(ALPHABET.encode(), length, chance)
        case 3:  # long
            return name + b"=" + _some(ALPHABET.encode(), chance.randrange(12_000), chance)
        case _:
            pieces = [*PIECES, name, name + b"=", _some(ALPHABET.encode(), length, chance)]
            return b"".join(chance.choice(pieces) for _ in range(chance.randrange(12)))


def _some(alphabet: bytes, length: int, chance: random.Random) -> bytes:
    return bytes(chance.choices(alphabet, k=length))


def _is_control(cookie: bytes) -> bool:
    return any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in cookie)


async def mutated_cookies(
    cluster: LocalCluster, info: Info, count: int, told: Told = nobody, *, connections: int = 16
) -> Counter[str]:
    """Send *count* invalid cookies to the load balancer and to each replica, while a similar one is valid.

    Returns counts such as `mutant: mypage 401`; `the good one 200` is the control. Some well-formed ones are also sent
    with a login: `adopted` counts those that became the cookie of the session.
    """
    ports = [cluster.topology.lb_port, *cluster.topology.app_ports()]
    async with site_of(cluster, info, directly=True) as site:
        login = await site.log_in(await site.register())
        (name, value), *_ = login.cookies.items()
        sender = _Sender(info, name, attempts(name, value, count, seed=17), told)
        await asyncio.gather(*(sender.send(port) for port, _ in zip(cycle(ports), range(connections), strict=False)))
        for base in site.bases_of(login):
            sender.seen[f"the good one {(await site.page(login, base)).status}"] += 1
        for mutant in (value[::-1], value[:22] + value[:21:-1], value[:-1], "A" * len(value)):
            presented = replace(login, id=mutant, cookies={name: mutant})
            new = await site.log_in(login.account, instead_of=presented)
            sender.seen["adopted" if new.cookies[name] == mutant else "a new one"] += 1
            sender.seen[f"presented at a login, afterwards {(await site.page(presented)).status}"] += 1
    return sender.seen


class _Sender:
    def __init__(self, info: Info, name: str, left: Iterator[Attempt], told: Told) -> None:
        self.seen: Counter[str] = Counter()
        self._info = info
        self._given = re.compile(rb'%b="?[^";]' % name.encode())  # a deletion gives an empty one
        self._left = left
        self._calls = cycle(CALLS)
        self._told = told
        self._done = 0

    async def send(self, port: int) -> None:
        """Send one attempt after the other to *port*."""
        async with RawConnection(port) as connection:
            for sort, cookie in self._left:
                method, call = next(self._calls)
                answer = await connection.ask(method, f"/{self._info.name}/{call}", b"Cookie: " + cookie)
                given = any(self._given.match(one) for one in answer.all_of(b"set-cookie"))
                self.seen[f"{sort}: {call} {answer.status}{' and a cookie' * given}"] += 1
                self._done += 1
                self._told(self._done)


SORTS = ("mutant", "another spelling", "bytes")


def refusals(info: Info) -> set[str]:
    """Return all acceptable answers. A header with control characters is invalid (RFC 9110 §5.5), hence a 400.

    A logout whose session could be at another replica says so with a 404.
    """
    logouts = {204} if Capability.ANY_REPLICA in info.capabilities else {204, 404}
    return {
        *(f"{sort}: {call} 401" for sort in SORTS for call in ("mypage", "visits")),
        *(f"{sort}: logout {status}" for sort in SORTS for status in logouts),
        *(f"no header's bytes: {call} 400" for call in ("mypage", "visits", "logout")),
        "the good one 200",
        "a new one",
        "presented at a login, afterwards 401",
    }
