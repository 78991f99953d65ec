"""The tables of strategies in the documentation: `python -m tests.strategies` writes them.

Their cells are what each strategy says about itself (`Info` and `Facts` in services/app/strategy.py).
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from services.app.strategy import Capability, Info, Kind
from tests.support.strategies import INFOS

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs/strategies"
BEGIN, END = "<!-- strategies: written by `python -m tests.strategies` -->", "<!-- end of strategies -->"

Columns = Mapping[str, Callable[[Info], str]]


def _devices(info: Info) -> str:
    if Capability.DEVICES in info.capabilities:
        return "all" if Capability.ANY_REPLICA in info.capabilities else "those at this replica"
    return "at `/auth/sessions`" if info.kind is Kind.TOKEN else "no"


SHORT: Columns = {
    "login state lives": lambda info: info.facts.state,
    "a request costs": lambda info: info.facts.request,
    "lost with a replica": lambda info: info.facts.without_replica,
    "forced logout": lambda info: info.facts.forced_logout,
}
LONG: Columns = {
    "login state lives": lambda info: info.facts.state,
    "a request costs": lambda info: info.facts.request,
    "lost with a replica": lambda info: info.facts.without_replica,
    "lost with Redis": lambda info: info.facts.without_redis,
    "lost with auth": lambda info: info.facts.without_auth,
    "forced logout": lambda info: info.facts.forced_logout,
    "devices": _devices,
    "logout kills the credential": lambda info: "yes" if Capability.LOGOUT in info.capabilities else "no",
    "staleness": lambda info: info.facts.staleness,
}
TABLES = {ROOT / "README.md": SHORT, PAGES / "README.md": LONG}


def table(columns: Columns, beside: Path) -> str:
    """Return the table, with links for a page in the directory *beside*."""
    head = ["strategy", *columns]
    lines = [head, ["---"] * len(head)]
    lines += [[_name(info, beside), *(cell(info) for cell in columns.values())] for info in INFOS]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _name(info: Info, beside: Path) -> str:
    """Return the strategy's name, with a link if it has a page of its own."""
    page = PAGES / f"{info.name}.md"
    return f"[`{info.name}`]({page.relative_to(beside).as_posix()})" if page.is_file() else f"`{info.name}`"


def up_to_date(page: Path) -> str:
    """Return the text of *page* with its table as it should be. Raises `ValueError` if it has no place for one."""
    text = page.read_text()
    found = re.search(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", text, re.DOTALL)
    if found is None:
        raise ValueError(f"{page} has no lines {BEGIN} and {END}")
    new = f"{BEGIN}\n\n{table(TABLES[page], page.parent)}\n{END}\n"
    return text[: found.start()] + new + text[found.end() :]


if __name__ == "__main__":
    for page in TABLES:
        page.write_text(up_to_date(page))
