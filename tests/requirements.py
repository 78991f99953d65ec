"""Which test speaks for which requirement: `python -m tests.requirements` writes docs/requirements.md from the tests.

A test speaks for an id that stands in its name (`test_t5_…`), its parameters' ids, its docstring or its comments.
"""

import inspect
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/requirements.md"
ID = re.compile(r"(?<![a-z0-9])([SJT])(\d{1,2})(?![0-9a-z])", re.IGNORECASE)
MARK = "requirement-of:"

REQUIREMENTS = {
    "S1": "session ids have at least 128 random bits from a CSPRNG",
    "S2": "login and re-login give a new session id, the old one is dead",
    "S3": "an id that was never issued is not adopted",
    "S4": "logout destroys the server's state",
    "S5": "a write in flight does not bring a logged-out session back",
    "S6": "idle timeout, extended by reads",
    "S7": "absolute timeout, extended by nothing",
    "S8": "`__Host-` cookie, Secure, HttpOnly, Path=/, SameSite=Lax where TLS is on",
    "S9": "the deleting Set-Cookie has the attributes of the one that it deletes",
    "S10": "`Cache-Control: no-store` on login, token and session answers",
    "S11": "a disabled account: all of its logins end",
    "S12": "a changed password: all other logins end",
    "S13": "a user lists and ends own logins, an admin anybody's",
    "S14": "a cross-site POST changes nothing",
    "S15": "no session id or token in a log line or URL",
    "S16": "concurrent writes to different keys both survive",
    "S17": "any bytes in a cookie or header: never a 5xx",
    "S18": "every replica decides alike",
    "J1": "`none` in any spelling, an empty signature: refused",
    "J2": "HS256 signed with the public key: refused",
    "J3": "`jwk`, `jku`, `x5u`, `x5c` headers are ignored, nothing is fetched",
    "J4": "unknown `crit`: refused",
    "J5": "the token's `alg` must be its key's own",
    "J6": "`exp` required; `nbf`, `iat` checked; at most 30 s of leeway",
    "J7": "`typ` is `at+jwt`; a refresh token as bearer is refused",
    "J8": "`aud` is compared exactly",
    "J9": "`iss` is compared exactly",
    "J10": "iss, exp, aud, sub, client_id, iat, jti are all present",
    "J11": "duplicate claims are refused",
    "J12": "denial is by `jti`, never by the token's text",
    "J13": "weak keys (HMAC below 256 bits, RSA below 2048): the service refuses to start",
    "J14": "`kid` with paths, SQL, a URL, 64 KB: refused",
    "J15": "unknown `kid`s: at most one JWKS fetch per cool-down",
    "J16": "the JWKS has public keys only, each with its thumbprint as `kid` and `use: sig`",
    "J17": "key rotation under load refuses nobody; an emergency removal kills on every replica within 60 s",
    "J18": "401 carries `WWW-Authenticate: Bearer`; a missing role is 403",
    "T1": "no OAuth password grant; a first-party login call",
    "T2": "a refresh rotates the refresh token",
    "T3": "reuse outside the grace ends the whole family, and only reuse does",
    "T4": "parallel refreshes of one token are one lineage; inside the grace all get the same successor",
    "T5": "a refresh that races a revocation: nothing lives after the acknowledgement",
    "T6": "refresh tokens have an idle and an absolute expiry",
    "T7": "refresh tokens are stored hashed, bound to user, client and audience",
    "T8": "`/revoke` answers 200 for unknown tokens; `/introspect` needs authentication and tells nothing of dead ones",
    "T9": "the metadata's issuer is the tokens' `iss`",
    "T10": "Argon2id after OWASP, off the event loop, in a bounded queue",
    "T11": "passwords of 8 to at least 64 characters, none cut short, no composition rules",
    "T12": "common passwords are refused",
    "T13": "guessing is limited per account and per address, without locking the victim out",
    "T14": "unknown user and wrong password: same status, same body, same time",
}

HEAD = """# Which test speaks for which requirement

Made from the tests by `python -m tests.requirements`; do not edit. Tests of `tests/stress` run with `make stress`, all
others with `make test`.

| id | requirement | tests |
|---|---|---|
"""


def ids_in(text: str) -> set[str]:
    """Return the requirements that *text* names (`test_j8_…` names J8)."""
    return {f"{kind.upper()}{int(number)}" for kind, number in ID.findall(text.replace("_", " "))} & REQUIREMENTS.keys()


def ids_of(item: pytest.Item) -> set[str]:
    """Return the requirements that a collected test speaks for."""
    function = getattr(item, "function", None)
    source = inspect.getsource(function) if function else ""
    return ids_in(item.name) | ids_in("\n".join([*_comments(source), inspect.getdoc(function) or ""]))


def _comments(source: str) -> list[str]:
    return re.findall(r"(?<=  )# .*|^\s*# .*", source, re.MULTILINE)


def pytest_collection_finish(session: pytest.Session) -> None:
    """As a pytest plug-in: print one line per requirement and test."""
    for item in session.items:
        for name in ids_of(item):
            sys.stdout.write(f"\n{MARK}{name} {item.nodeid.partition('[')[0]}\n")


def collect() -> dict[str, list[str]]:
    """Return the tests of every requirement, from a collection of all tests in a process of its own."""
    options = ["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "tests.requirements", "-m", ""]
    command = [sys.executable, "-m", "pytest", *options, "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(f"the tests cannot be collected:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    found: dict[str, set[str]] = defaultdict(set)
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            name, test = line.removeprefix(MARK).split(" ", 1)
            found[name].add(test)
    return {name: sorted(found[name]) for name in REQUIREMENTS}


def page(tests: Mapping[str, Iterable[str]]) -> str:
    """Return docs/requirements.md."""
    return HEAD + "".join(f"| {name} | {text} | {_links(tests[name])} |\n" for name, text in REQUIREMENTS.items())


def _links(tests: Iterable[str]) -> str:
    parts = [test.rpartition("::") for test in tests]
    return "<br>".join(f"[{name}](../{path.partition('::')[0]})" for path, _, name in parts) or "none yet"


if __name__ == "__main__":
    PAGE.write_text(page(collect()))
