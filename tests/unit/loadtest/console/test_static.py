"""What the browser is sent besides pages: small, complete, and as others have published it."""

import hashlib
import re

from loadtest.console.app import STATIC

VENDOR = STATIC / "vendor"


def test_it_is_less_than_200_kb_in_all() -> None:
    sent = [path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".svg")]
    assert sum(path.stat().st_size for path in sent) < 200_000


def test_files_of_others_are_unchanged_and_have_their_licenses() -> None:
    listed = re.findall(r"\| (\S+) \|.*\]\((\S+)\) \| `(\w{64})` \|", (VENDOR / "README.md").read_text())
    assert {name for name, _, _ in listed} == {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    for name, license_, digest in listed:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
        assert (VENDOR / license_).stat().st_size > 500


def test_nothing_is_loaded_from_elsewhere() -> None:
    for name in ("console.js", "console.css"):
        assert not re.search(r"https?://|import\(|@import|url\(", (STATIC / name).read_text())
