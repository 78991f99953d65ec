"""The pages of the report, whatever is in the results."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from loadtest.experiments import CLAIMS, EXPERIMENTS
from loadtest.report import write_report
from loadtest.report.pictures import pictures
from loadtest.report.render import render
from loadtest.results.model import Figure, Results, ResultsError, Verdict
from loadtest.results.numbers import amount, duration, number
from loadtest.results.view import View
from loadtest.verdicts import judge
from loadtest.verdicts.claims import NOT_MEASURED
from tests.unit.loadtest.made_up_results import HOW, empty, full_run, reconfigured

PLOTS = [plot for experiment in EXPERIMENTS for plot in experiment.plots]
HOSTILE = "<script>alert(1)</script>|$x_1$ & `rm`\n| new row |"
VOID = {"meta", "br", "link", "img", "input", "hr"}


@pytest.fixture(scope="module")
def full() -> Results:
    return full_run()


def drawn(results: Results) -> list[str]:
    return [plot.name for plot in PLOTS if plot.can_show(View(results))]


def written(results: Results, directory: Path) -> tuple[str, str]:
    results.write(directory)
    page = write_report(directory, EXPERIMENTS)
    return page.read_text(), (directory / "report.md").read_text()


@pytest.fixture(scope="module")
def pages(full: Results, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The pages of the full run."""
    directory = tmp_path_factory.mktemp("full")
    found = written(full, directory)
    assert (directory / "summary.png").read_bytes().startswith(b"\x89PNG")
    return found


def withdrawn(results: Results, message: str) -> Results:
    failed = replace(results, warnings=[{"rule": "null_test", "message": message}])
    return replace(failed, verdicts=judge(failed, CLAIMS))


class Elements(HTMLParser):
    """Collects tags and attributes of a page, and fails if elements are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_complete(pages: tuple[str, str]) -> None:
    page, markdown = pages
    for text in (page, markdown):
        assert "Use redis-cached" in text
        assert "What would change the answer" in text
        assert "1.31.3" in text
        assert NOT_MEASURED in text
        assert "python -m loadtest report" in text
        assert all(f"C{claim}" in text for claim in range(1, 13))
        assert all(name in text for name in HOW)
    assert page.count("<svg") == len(drawn(full_run()))


def test_the_html_page_is_well_formed_loads_nothing_and_describes_its_pictures(pages: tuple[str, str]) -> None:
    elements = Elements(pages[0])
    assert not {"script", "link", "img", "iframe", "object"} & set(elements.tags)
    loading = [value for _, name, value in elements.attributes if name in ("src", "href", "xlink:href")]
    assert [value for value in loading if not value.startswith("#")] == []
    assert "url(http" not in pages[0]
    ids = [value for _, name, value in elements.attributes if name == "id"]
    labelled = [value for tag, name, value in elements.attributes if tag == "svg" and name == "aria-labelledby"]
    assert len(labelled) == len(drawn(full_run()))
    assert len(ids) == len(set(ids))
    assert all(part in ids for value in labelled for part in value.split())


def test_whatever_a_results_file_contains_is_shown_as_text(full: Results, tmp_path: Path) -> None:
    results = withdrawn(full, HOSTILE)
    facts = results.config["strategies"]
    settings = results.config["settings"] | {HOSTILE: HOSTILE, "AUTH_ALGORITHM": HOSTILE}
    evil = {"strategies": facts | {HOSTILE: facts["redis"] | {"choose_when": HOSTILE}}, "settings": settings}
    results = replace(reconfigured(results, **evil), host=results.host | {"cpu": HOSTILE}, ended_by=HOSTILE,
                      complete=False, binaries={"nginx": HOSTILE}, command=HOSTILE, git_revision=HOSTILE,
                      verdicts=[Verdict(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])  # fmt: skip
    copies = [replace(f, experiment=HOSTILE, strategy=HOSTILE) for f in full.figures if f.strategy == "redis"]
    odd = Figure("e", "s", HOSTILE, HOSTILE, 1.0, labels={HOSTILE: HOSTILE})
    page, markdown = written(replace(results, figures=[*results.figures, *copies, odd]), tmp_path)
    assert "script" not in Elements(page).tags
    assert "<script" not in markdown
    lines = markdown.splitlines()
    assert not any(line.strip() == "| new row |" for line in lines)
    for before, line in pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            bars = [len(re.findall(r"(?<!\\)\|", row)) for row in (before, line)]
            assert bars[0] == bars[1], line


def test_a_hostile_name_is_shown_as_text_even_in_the_answer(tmp_path: Path) -> None:
    results = full_run("cost")
    facts = {HOSTILE if name == "redis-cached" else name: one for name, one in results.config["strategies"].items()}
    renamed = [
        replace(figure, strategy=HOSTILE) if figure.strategy == "redis-cached" else figure for figure in results.figures
    ]
    page, markdown = written(replace(reconfigured(results, strategies=facts), figures=renamed), tmp_path)
    assert "script" not in Elements(page).tags
    assert "Use &lt;script" in page
    assert "# Use &lt;script" in markdown


def test_the_answer_comes_before_everything_else(pages: tuple[str, str]) -> None:
    for text in pages:
        places = [
            text.index(what) for what in ("Use redis-cached", "Null test", "What would change the answer", "Claims")
        ]
        assert places[0] == min(places)
        assert places[3] == max(places)


def test_withdrawn_verdicts_take_the_place_of_the_answer(full: Results, tmp_path: Path) -> None:
    for text in written(withdrawn(full, "it differs from itself"), tmp_path):
        assert "No answer: this run failed its own checks" in text
        assert text.index("it differs from itself") < text.index("anonymous")
        assert "Use " not in text
        promises = text[text.rindex("Promises") :]
        assert "withdrawn (null" in promises
        assert not re.search(r"[>|] ?(not )?kept ?[<|]", promises)


def test_a_run_that_ended_early_says_so_at_the_top(full: Results, pages: tuple[str, str], tmp_path: Path) -> None:
    for text in written(replace(full, complete=False, ended_by="interrupted at the keyboard"), tmp_path):
        assert text.index("interrupted at the keyboard") < text.index("What would change the answer")
    assert "ended early" not in "".join(pages)


def test_a_run_without_figures_has_a_report_that_says_so(tmp_path: Path) -> None:
    page, markdown = written(empty(host={}, binaries={}, git_revision="", command=""), tmp_path)
    for text in (page, markdown):
        assert "No answer yet" in text
        assert "This run has no figures." in text
    assert "<svg" not in page
    Elements(page)


@pytest.mark.parametrize("name", ["cost", "survival", "traffic", "throughput", "login", "tokens", "algorithms"])
def test_every_experiment_alone_gives_a_report(name: str, tmp_path: Path) -> None:
    page, _ = written(full_run(name), tmp_path)
    Elements(page)
    assert page.count("<svg") >= 1
    assert ("Use redis-cached" in page) == (name == "cost")


def test_a_plot_is_drawn_only_if_there_is_something_to_draw() -> None:
    shown = {picture.plot.name for picture in pictures(View(full_run("cost")), PLOTS)}
    assert shown == {"extra", "bill"}
    assert "tradeoff" in {picture.plot.name for picture in pictures(View(full_run("cost", "survival")), PLOTS)}


def test_no_axis_shows_markup(full: Results) -> None:
    guessed = [
        Figure("secret_guessing", "jwt", "seconds_to_guess", "s", seconds, labels={"kind": f"{seconds:g}"})
        for seconds in (1e-2, 1e3, 1e70)
    ]
    drawings = pictures(View(replace(full, figures=[*full.figures, *guessed])), PLOTS)
    assert {"secret_guessing", "revocation", "latency"} <= {picture.plot.name for picture in drawings}
    assert not [picture.plot.name for picture in drawings if "mathdefault" in picture.svg]


def test_every_table_names_the_algorithm_of_tokens(full: Results, pages: tuple[str, str]) -> None:
    page, _ = pages
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    named = [cell for table in tables for cell in re.findall(r'<th scope="(?:row|col)">(jwt[^<]*)</th>(.*)', table)]
    assert len(named) > 20
    assert all("(EdDSA)" in name or "algorithm " in rest for name, rest in named)
    unnamed = reconfigured(full, settings={})
    assert "jwt (" not in render(View(replace(unnamed, verdicts=judge(unnamed, CLAIMS))), "report.md", EXPERIMENTS)


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"schema_version": 0}')
    with pytest.raises(ResultsError, match="schema_version"):
        write_report(tmp_path, EXPERIMENTS)


def findings(view: View) -> list[str]:
    return [sentence for experiment in EXPERIMENTS for sentence in experiment.sentences(view)]


def found(*figures: Figure) -> str:
    return " ".join(findings(View(replace(empty(), figures=list(figures)))))


def test_findings_say_what_the_figures_say(full: Results) -> None:
    text = " ".join(findings(View(full)))
    assert re.search(r"a page under anonymous costs 1\.\d+ times \(1\.\d+ to 1\.\d+ times\) the CPU of a bare", text)
    assert re.search(r"a refresh \d+ µs \(\d+ to \d+ µs\), as much as \d\.\d+ pages; an introspection \d+ µs", text)
    assert re.search(
        r"A login costs \d\d\.\d ms to \d\d\.\d ms of CPU, depending on the strategy, at least 9\d %", text
    )
    assert "of the users of memory lost their login within a few requests, although nothing failed" in text
    assert "GETs that failed meanwhile (5xx or no answer): none of 44,800." in text
    assert "POSTs that failed meanwhile (5xx or no answer): 42 of 8,400 (kill -9)" in text
    assert "includes 54 token refreshes" in text


def test_without_a_figure_there_is_no_sentence() -> None:
    assert found() == ""
    assert (
        found(Figure("survival", "redis", "users_lost", "%", 0, 0, 70, 3, {"fault": "none", "affinity": "false"})) == ""
    )


def test_whether_a_cache_pays_is_said_plainly(full: Results) -> None:
    """Caches save 34 us of app and 14 of Redis, and 86 us of app, in the made-up run."""
    text = " ".join(findings(View(full)))
    assert re.search(
        r"The cache of redis-cached pays: over all tiers, it saves 3\d\.\d µs \([\d.]+ to [\d.]+ µs\) per request\.",
        text,
    )
    assert re.search(r"The cache of jwt-cached pays: over all tiers, it saves \d\d\.\d µs", text)
    dear = full_run("cost", costs={"redis-cached": 62.0, "jwt-cached": 110.0})
    text = " ".join(findings(View(dear)))
    assert "redis-cached does not pay: over all tiers, redis-cached cannot be told apart from redis." in text
    assert "jwt-cached does not pay: over all tiers, jwt-cached costs more than jwt." in text
    assert "pay" not in " ".join(findings(View(withdrawn(full, "it differs from itself"))))


def test_the_build_of_python_is_named(full: Results) -> None:
    host = full.host | {"python": "3.11.7", "python_build": "GCC 12, -O3, PGO, LTO"}
    text = " ".join(findings(View(replace(full, host=host))))
    assert "Everything here ran on Python 3.11.7 (GCC 12, -O3, PGO, LTO): builds differ." in text
    assert "Everything here ran on" not in " ".join(findings(View(full)))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-90.0, -70.0, "HS256 80 µs less"),
        (-90.0, 5.0, "HS256 no difference shown"),
        (None, None, "no difference shown"),
    ],
)
def test_algorithms_are_ranked_only_by_a_whole_interval(low: float | None, high: float | None, said: str) -> None:
    labels = {"algorithm": "HS256", "over": "EdDSA"}
    text = found(Figure("algorithms", "jwt", "verify_difference", "us", -80.0, low, high, 16, labels))
    assert said in text
    assert "compared with EdDSA" in text


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(310, "310 s"), (600, "10 min"), (43200, "12 h"), (1209600, "14 days"), (3601, "3,601 s")]
)
def test_durations_are_exact(seconds: float, text: str) -> None:
    assert duration(seconds) == text
