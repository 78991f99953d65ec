"""What the how-to pages tell readers to write fits the code as it is."""

import re
from pathlib import Path

import pytest

PAGES = sorted(Path("docs/how-to").glob("add-*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def changes(page: Path) -> list[tuple[Path, str]]:
    """Return each diff on *page* with the file that was named last before it."""
    text = page.read_text()
    return [
        (Path(re.findall(r"`([\w/.]+/[\w/.]+\.\w+)`", text[: fence.start()])[-1]), fence[2])
        for fence in FENCE.finditer(text)
        if fence[1] == "diff"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_diffs_apply(page: Path) -> None:
    for file, diff in changes(page):
        context = "".join(f"{line[1:]}\n" for line in diff.splitlines() if not line.startswith("+"))
        assert file.read_text().count(context) == 1, f"{page}: {file} does not have once:\n{context}"


@pytest.mark.parametrize(
    ("page", "blocks", "result"),
    [("add-a-strategy", slice(1), "create"), ("add-an-experiment", slice(None), "EXPERIMENT")],
)
def test_the_file_runs(page: str, blocks: slice, result: str) -> None:
    fences = FENCE.findall(Path(f"docs/how-to/{page}.md").read_text())
    written = "\n".join([text for language, text in fences if language == "python"][blocks])
    namespace: dict[str, object] = {"__name__": "tests.how_to"}
    exec(compile(written, page, "exec"), namespace)
    assert result in namespace
