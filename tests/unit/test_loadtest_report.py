"""The report, from a small results file."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from loadtest.numbers import amount, number
from loadtest.report import write_report
from loadtest.report.findings import findings
from loadtest.results import Figure, Results, ResultsError, Verdict
from loadtest.verdicts import judge
from loadtest.verdicts.claims import NOT_MEASURED
from loadtest.view import View
from tests import loadtest_fakes

HOSTILE = "<script>alert(1)</script>|$x_1$ & `rm`\n| new row |"


def small(*, warning: str = "") -> Results:
    figures = []
    through, direct = {"path": "nginx"}, {"path": "direct", "tier": "app"}
    for index, (name, app) in enumerate([("anonymous", 40.0), ("memory", 50.0), ("redis", 90.0), ("jwt", 70.0)]):
        total = app + 20
        latency = {"percentile": "p99", "rate": "500", "level": "high"}
        figures += [
            Figure("throughput", name, "throughput", "requests/s", 2000 - 100 * index, 1900 - 100 * index, 2050, 8),
            Figure("cost", name, "cpu_per_request", "us", app, app - 1, app + 1, 8, through | {"tier": "app"}),
            Figure("cost", name, "cpu_per_request", "us", 20, 19, 21, 8, through | {"tier": "loadbalancer"}),
            Figure("cost", name, "cpu_per_request", "us", total, total - 2, total + 2, 8, through | {"tier": "total"}),
            Figure("traffic", name, "latency", "us", 1500, 1400, 1700, 900, latency),
        ]
    for name, lost in (("memory", 33.0), ("redis", 0.0), ("jwt", 0.0)):
        labels = {"fault": "kill -9", "affinity": "true"}
        kills = 100.0 if lost else 0.0
        figures.append(Figure("survival", name, "users_lost", "%", lost, max(0.0, lost - 8), lost + 8, 3, labels))
        figures.append(Figure("survival", name, "kills_with_losses", "%", kills, 0.0, 70.8, 3, labels))
    for name, over, value in (("jwt", "anonymous", 1.75), ("memory", "anonymous", 1.01), ("jwt", "redis", 0.77)):
        pair = direct | {"over": over}
        figures.append(Figure("cost", name, "cpu_ratio", "ratio", value, value - 0.03, value + 0.04, 8, pair))
    floor = {"over": "bare server", "path": "direct"}
    figures.append(Figure("cost", "anonymous", "floor_ratio", "ratio", 1.36, 1.3, 1.42, 8, floor))
    for what, value in (("refresh", 900.0), ("introspection", 450.0)):
        for tier in ("auth", "total"):
            figures.append(
                Figure("tokens", "jwt", f"cpu_per_{what}", "us", value, value - 9, value + 9, 8, {"tier": tier})
            )
    figures.append(Figure("survival", "expected", "expected_users_lost", "%", 100 / 3))
    run = loadtest_fakes.results(*figures, anonymous="control", memory="session", redis="session", jwt="token")
    run.warnings = [{"rule": "null_test", "message": warning}] if warning else []
    return replace(run, verdicts=judge(run))


def written(results: Results, directory: Path) -> tuple[str, str]:
    results.write(directory)
    page = write_report(directory)
    return page.read_text(), (directory / "report.md").read_text()


class Elements(HTMLParser):
    """Collects what would load something, and the ids and images of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def test_the_report_is_complete(tmp_path: Path) -> None:
    page, markdown = written(small(), tmp_path)
    assert (tmp_path / "summary.png").read_bytes().startswith(b"\x89PNG")
    for text in (page, markdown):
        assert "33 %" in text
        assert "nginx" in text
        assert NOT_MEASURED in text
        assert "C12" in text
    assert page.count("<svg") == 5


def test_the_html_page_loads_nothing_and_describes_its_pictures(tmp_path: Path) -> None:
    elements = Elements(written(small(), tmp_path)[0])
    assert "script" not in elements.tags
    assert "link" not in elements.tags
    assert "img" not in elements.tags
    loading = [value for _, name, value in elements.attributes if name in ("src", "href", "xlink:href")]
    assert [value for value in loading if not value.startswith("#")] == []
    ids = [value for _, name, value in elements.attributes if name == "id"]
    labelled = [value for tag, name, value in elements.attributes if tag == "svg" and name == "aria-labelledby"]
    assert len(labelled) == 5
    assert len(ids) == len(set(ids))
    assert all(part in ids for value in labelled for part in value.split())


def test_whatever_a_results_file_says_stays_text(tmp_path: Path) -> None:
    results = small(warning=HOSTILE)
    results.host["cpu"] = results.binaries["nginx"] = results.config["settings"][HOSTILE] = HOSTILE
    results.verdicts = [Verdict(HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    evil = [
        Figure(HOSTILE, HOSTILE, f.metric, f.unit, f.value, f.ci_low, f.ci_high, f.n, f.labels) for f in results.figures
    ]
    results.figures += [*evil, Figure("e", "s", HOSTILE, HOSTILE, 1.0, labels={HOSTILE: HOSTILE})]
    page, markdown = written(results, tmp_path)
    assert "script" not in Elements(page).tags
    assert "<script" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {3, 5, 6}
    assert not any(line.strip() == "| new row |" for line in markdown.splitlines())


def test_warnings_stand_before_the_findings(tmp_path: Path) -> None:
    page, markdown = written(small(warning="the null test failed"), tmp_path)
    for text in (page, markdown):
        assert text.index("the null test failed") < text.index("Server CPU per request")


def test_a_run_without_figures_has_a_report_that_says_so(tmp_path: Path) -> None:
    page, markdown = written(loadtest_fakes.results(), tmp_path)
    assert "There are no figures." in page
    assert "There are no figures." in markdown


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"schema_version": 0}')
    with pytest.raises(ResultsError, match="schema_version"):
        write_report(tmp_path)


def test_findings_say_what_the_figures_say() -> None:
    text = " ".join(findings(View(small())))
    assert "jwt 1.75 times the CPU" in text
    assert "memory no measurable difference" in text
    assert "jwt 0.770 times" not in text  # the control is what all are compared with
    assert "under anonymous costs 1.36 times (1.30 to 1.42 times) the CPU of a bare" in text
    assert "a refresh 900 µs (891 to 909 µs), as much as 10 pages; an introspection 450 µs" in text
    assert "memory: 33 % (25 to 41 %) of them, over 3 kills" in text
    assert "No kill logged anybody out under redis (in 3 kills; up to 71 % may do so) and jwt" in text


def test_a_ratio_is_found_whichever_way_up_it_was_measured() -> None:
    view = View(small())
    there = view.ratio("cpu_ratio", "jwt", "redis", tier="app")
    back = view.ratio("cpu_ratio", "redis", "jwt", tier="app")
    assert there
    assert back
    assert (back.strategy, back.labels) == ("redis", {"path": "direct", "tier": "app", "over": "jwt"})
    assert back.value == pytest.approx(1 / 0.77)
    assert back.ci_low == pytest.approx(1 / 0.81)
    assert back.ci_high == pytest.approx(1 / 0.74)
    assert view.ratio("cpu_ratio", "redis", "memory", tier="app") is None


def test_every_promise_has_a_row_that_says_what_this_run_says(tmp_path: Path) -> None:
    for text in written(small(), tmp_path):
        promises = text[text.index("Promises") : text.index("Claims")]
        assert "1.01 times (0.980 to 1.05 times)" in promises
        assert "not decidable" in promises
        assert "4.1 (stock RedisStorage)" in promises


def test_withdrawn_verdicts_are_not_shown(tmp_path: Path) -> None:
    for text in written(small(warning="it differs from itself"), tmp_path):
        promises = text[text.index("Promises") : text.index("Claims")]
        assert "withdrawn (null" in promises
        assert "not decidable" not in promises


def test_a_run_that_ended_early_says_so_on_top(tmp_path: Path) -> None:
    early = replace(small(), complete=False, ended_by="interrupted at the keyboard")
    for text in written(early, tmp_path):
        assert text.index("ended early") < text.index("Server CPU per request")
        assert "interrupted at the keyboard" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12.345, "12.3"),
        (0.012345, "0.0123"),
        (1234.5, "1,230"),
        (99.96, "100"),
        (7, "7"),
        (float("nan"), "-"),
    ],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_long_times_are_milliseconds() -> None:
    assert amount(45_600, "us") == "45.6 ms"
    assert amount(456, "us") == "456 µs"
