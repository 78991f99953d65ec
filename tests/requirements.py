"""The requirements and their tests: `python -m tests.requirements` writes docs/requirements.md.

A test checks the requirements whose ids it names: in its name (`test_t5_…`), parameter ids, docstring or comments.
"""

import functools
import inspect
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/requirements.md"
ID = re.compile(r"(?<![a-z0-9])([SJT])(\d{1,2})(?![0-9a-z])", re.IGNORECASE)
MARK = "requirement-of:"
COLLECTED = pytest.StashKey[list[pytest.Item]]()
"""All tests that this run of pytest has found, also those that it does not run."""

REQUIREMENTS = {
    "S1": "session ids have at least 128 random bits from a CSPRNG (ASVS 7.2.3)",
    "S2": "login and re-login issue a new session id, and the old one is dead (ASVS 7.2.4)",
    "S3": "an id that was never issued is not adopted (OWASP)",
    "S4": "logout destroys the state on the server (ASVS 7.4.1)",
    "S5": "a write in flight does not revive a session that was logged out",
    "S6": "idle timeout, extended by reads (ASVS 7.3)",
    "S7": "absolute timeout, extended by nothing (ASVS 7.3)",
    "S8": "the cookie is `__Host-`, Secure, HttpOnly, Path=/ and SameSite=Lax wherever TLS is on",
    "S9": "the Set-Cookie that deletes a cookie has the same attributes as the one that set it (draft 6265bis)",
    "S10": "login, token and session answers carry `Cache-Control: no-store`",
    "S11": "disabling an account ends all of its logins (ASVS 7.4)",
    "S12": "changing a password ends all other logins (ASVS 7.4)",
    "S13": "users list and end their own logins, administrators anyone's (ASVS 7.5.2)",
    "S14": "a cross-site POST changes nothing (OWASP)",
    "S15": "no session id or token appears in a log line or URL",
    "S16": "concurrent writes to different keys both survive",
    "S17": "no bytes in a cookie or header cause a 5xx",
    "S18": "every replica decides alike",
    "J1": "`none` in any spelling and empty signatures are refused",
    "J2": "HS256 signed with the public key is refused",
    "J3": "`jwk`, `jku`, `x5u` and `x5c` headers are ignored, and nothing is fetched",
    "J4": "an unknown `crit` is refused (RFC 7515)",
    "J5": "the token's `alg` must be the algorithm of its key",
    "J6": "`exp` is required; `nbf` and `iat` are checked; the leeway is at most 30 s",
    "J7": "`typ` is `at+jwt`; a refresh token used as a bearer token is refused (RFC 9068)",
    "J8": "`aud` is compared exactly",
    "J9": "`iss` is compared exactly",
    "J10": "iss, exp, aud, sub, client_id, iat and jti are all present (RFC 9068)",
    "J11": "duplicate claims are refused",
    "J12": "tokens are denied by `jti`, never by their text",
    "J13": "the service refuses to start with a weak key (HMAC below 256 bits, RSA below 2048)",
    "J14": "a `kid` that holds a path, SQL, a URL or 64 KB is refused",
    "J15": "unknown `kid`s cause at most one JWKS fetch per cool-down",
    "J16": "the JWKS holds public keys only, each with its thumbprint as `kid` (RFC 7638) and `use: sig`",
    "J17": "key rotation under load refuses nobody; an emergency removal takes effect on every replica within 60 s",
    "J18": "a 401 carries `WWW-Authenticate: Bearer` (RFC 6750); a missing role is a 403",
    "T1": "there is no OAuth password grant, but a first-party login call (RFC 9700)",
    "T2": "a refresh rotates the refresh token (RFC 9700)",
    "T3": "reuse outside the grace period ends the whole family, and only reuse does (RFC 9700)",
    "T4": "parallel refreshes of one token stay one lineage; within the grace period all get the same successor",
    "T5": "when a refresh races a revocation, nothing lives after the acknowledgement",
    "T6": "refresh tokens have an idle and an absolute expiry",
    "T7": "refresh tokens are stored hashed, and bound to user, client and audience",
    "T8": "`/revoke` answers 200 for unknown tokens; `/introspect` needs authentication and tells nothing of dead ones",
    "T9": "the issuer in the metadata is the `iss` of the tokens (RFC 8414)",
    "T10": "passwords are hashed with Argon2id as OWASP recommends, off the event loop, in a bounded queue",
    "T11": "passwords have 8 to at least 64 characters, none cut off, with no composition rules (NIST SP 800-63B)",
    "T12": "common passwords are refused (NIST SP 800-63B)",
    "T13": "guessing is limited per account and per address, without locking out the victim",
    "T14": "an unknown user and a wrong password get the same status, the same body, and take the same time",
}

SECTIONS = {
    "S": "Sessions and cookies",
    "J": "JSON Web Tokens",
    "T": "The auth service: passwords, refresh tokens, OAuth",
}

HEAD = """# Requirements

What authscale promises about security, and which tests check it. Each requirement has an id that never changes: a
letter for its subject and a number. A test names the ids that it checks in its name (`test_s5_…`), its docstring or a
comment; ADRs and code refer to them in the same way.

Sources: the OWASP Application Security Verification Standard 5.0 (ASVS) and cheat sheets, the RFCs named, and
NIST SP 800-63B. Requirements without a source follow the behaviour of Spring Session, Ory, SuperTokens and Keycloak.

Generated from the tests by `python -m tests.requirements`; do not edit. Tests in `tests/stress` run with `make stress`,
all others with `make test`.
"""


def ids_in(text: str) -> set[str]:
    """Return the requirements that *text* names (`test_j8_…` names J8)."""
    return {f"{kind.upper()}{int(number)}" for kind, number in ID.findall(text.replace("_", " "))} & REQUIREMENTS.keys()


def ids_of(item: pytest.Item) -> set[str]:
    """Return the requirements that a collected test checks."""
    function = getattr(item, "function", None)
    return ids_in(item.name) | (_ids_in_texts(function) if function else set())


@functools.cache
def _ids_in_texts(function: Callable[..., object]) -> set[str]:
    return ids_in("\n".join([*_comments(inspect.getsource(function)), inspect.getdoc(function) or ""]))


def _comments(source: str) -> list[str]:
    return re.findall(r"(?<=  )# .*|^\s*# .*", source, re.MULTILINE)


def tests_of(items: Iterable[pytest.Item]) -> dict[str, list[str]]:
    """Return the tests of every requirement among the collected *items*."""
    return _sorted((name, item.nodeid.partition("[")[0]) for item in items for name in ids_of(item))


def _sorted(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, test in pairs:
        found[name].add(test)
    return {name: sorted(found[name]) for name in REQUIREMENTS}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Pytest plug-in: print one line per requirement and test."""
    for name, tests in tests_of(session.items).items():
        for test in tests:
            sys.stdout.write(f"\n{MARK}{name} {test}\n")


def collect() -> dict[str, list[str]]:
    """Return the tests of every requirement; pytest collects them in a separate process."""
    options = ["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "tests.requirements", "-m", ""]
    command = [sys.executable, "-m", "pytest", *options, "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(f"the tests cannot be collected:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    lines = (line.removeprefix(MARK) for line in done.stdout.splitlines() if line.startswith(MARK))
    return _sorted((name, test) for name, _, test in (line.partition(" ") for line in lines))


def page(tests: Mapping[str, Iterable[str]]) -> str:
    """Return docs/requirements.md."""
    return HEAD + "".join(_section(letter, title, tests) for letter, title in SECTIONS.items())


def _section(letter: str, title: str, tests: Mapping[str, Iterable[str]]) -> str:
    rows = (
        f"| {name} | {text} | {_links(tests[name])} |\n" for name, text in REQUIREMENTS.items() if name[0] == letter
    )
    return f"\n## {letter}: {title}\n\n| id | requirement | tests |\n|---|---|---|\n" + "".join(rows)


def _links(tests: Iterable[str]) -> str:
    parts = [test.rpartition("::") for test in tests]
    return "<br>".join(f"[{name}](../{path.partition('::')[0]})" for path, _, name in parts) or "none yet"


if __name__ == "__main__":
    PAGE.write_text(page(collect()))
