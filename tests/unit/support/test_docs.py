"""Every file that pages, docstrings and comments name exists."""

import re

from tests.requirements import ROOT

FOLDERS = "services", "loadbalancer", "deploy", "tests"
TEXTS = ".md", ".py", ".toml", ".conf", ".yaml"
NAMED = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w/-]*\w\.(?:py|md|yaml|conf)(?!\w)")
EXAMPLES = {
    "services/app/strategies/NAME.py",
    "services/app/strategies/redis_alone.py",
    "services/app/one.py",
    "deploy/two.conf",
}


def files_named_in(text: str) -> set[str]:
    return set(NAMED.findall(text))


def test_every_file_that_is_named_exists() -> None:
    pages = [*ROOT.glob("*.*"), *(page for folder in ("docs", *FOLDERS) for page in (ROOT / folder).rglob("*"))]
    named = {
        (name, str(page.relative_to(ROOT)))
        for page in pages
        if page.suffix in TEXTS and page.is_file()
        for name in files_named_in(page.read_text(encoding="utf-8")) - EXAMPLES
    }
    assert len(named) > 50
    assert {(name, page) for name, page in named if not (ROOT / name).is_file()} == set()


def test_names_of_files_are_found() -> None:
    text = "see `services/app/one.py` and (deploy/two.conf), not ../services/app/x.py, not a/tests/x.py"
    assert files_named_in(text) == {"services/app/one.py", "deploy/two.conf"}
