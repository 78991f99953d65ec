"""The documentation's tables say what strategies say about themselves."""

from pathlib import Path

import pytest

from tests import strategies


@pytest.mark.parametrize("page", strategies.TABLES, ids=lambda page: str(page.relative_to(strategies.ROOT)))
def test_the_table_of_strategies_is_up_to_date(page: Path) -> None:
    fresh = page.read_text() == strategies.up_to_date(page)
    assert fresh, "run `python -m tests.strategies`"


def test_a_stale_table_is_noticed_and_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "README.md"
    stale.write_text(f"before\n{strategies.BEGIN}\n| old |\n{strategies.END}\nafter\n")
    monkeypatch.setattr(strategies, "PAGES", tmp_path)
    monkeypatch.setattr(strategies, "TABLES", {stale: strategies.SHORT})
    (tmp_path / "redis.md").touch()
    fresh = strategies.up_to_date(stale)
    assert (fresh[:7], fresh[-6:]) == ("before\n", "after\n")
    assert "| old |" not in fresh
    assert "| [`redis`](redis.md) | in a Redis that all replicas share |" in fresh
    assert "| `memory` | in one replica's memory" in fresh  # it has no page there


def test_a_page_without_a_place_for_the_table_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="has no lines"):
        strategies.up_to_date(page)
