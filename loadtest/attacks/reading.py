"""What a credential says to somebody who has no key: every usual encoding is undone, and facts are looked for. Pure."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import SequenceMatcher
from urllib.parse import unquote

TIME_WINDOW_SECONDS = 60
SEPARATORS = re.compile(r"[.:|~!,;&= \"]+")


def readings(credential: str) -> list[bytes]:
    """Return the credential and whatever its parts decode to: percent signs, base64 from any place on, hex, zlib."""
    texts = {credential, unquote(credential)}
    parts = {part for text in texts for part in SEPARATORS.split(text) if part} | texts
    found = [text.encode() for text in texts]
    for part in sorted(parts):
        found += _decoded(part)
    return found + [plain for data in found if (plain := _inflated(data))]


def _decoded(part: str) -> Iterator[bytes]:
    letters = re.sub(r"[^A-Za-z0-9_-]", "", part.translate({43: "-", 47: "_"}))
    for start in range(4):
        text = letters[start:]
        text = text[: len(text) - (len(text) % 4 == 1)]
        yield base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    try:
        yield bytes.fromhex(part)
    except ValueError:
        return


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


def facts(credential: str, known: Mapping[str, str], now: float) -> list[str]:
    """Return the names of those facts of *known* that can be read, and `time` if the time of the login can.

    *now*: Unix time, at most a minute after the login.
    """
    read = readings(credential)
    found = [name for name, value in known.items() if any(form in data for form in _forms(value) for data in read)]
    return [*found, *(["time"] if any(_has_time(data, now) for data in read) else [])]


def _forms(value: str) -> list[bytes]:
    """Return the ways to write an id or a name: as it is, without dashes, and as bytes if it is hexadecimal."""
    bare = value.replace("-", "")
    forms = [value.encode(), bare.encode()]
    with suppress(ValueError):
        forms.append(binascii.unhexlify(bare))
    return [form for form in forms if len(form) >= 4]


def _has_time(data: bytes, now: float) -> bool:
    """Return whether digits, or eight bytes in network order, are a Unix time of about *now*."""
    texts = (int(digits) for digits in re.findall(rb"(?<!\d)\d{10}(?!\d)", data))
    numbers = (int.from_bytes(data[start : start + 8], "big") for start in range(len(data) - 7))
    return any(abs(number - now) <= TIME_WINDOW_SECONDS for number in (*texts, *numbers))


def members(credential: str) -> list[str]:
    """Return the names in whatever JSON objects can be read."""
    names: dict[str, None] = {}
    for data in readings(credential):
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            names |= dict.fromkeys(value)
    return list(names)


def common(one: str, other: str) -> int:
    """Return the length of the longest text that both credentials contain."""
    return SequenceMatcher(None, one, other, autojunk=False).find_longest_match().size
