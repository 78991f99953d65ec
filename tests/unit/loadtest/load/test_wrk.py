"""wrk is found, or its absence explained, and believed only if all answers were right. A script replaces it."""

import sys
from pathlib import Path

import pytest

from loadtest.load.children import GeneratorError
from loadtest.load.wrk import Wrk, find_wrk

GOOD = """Running 2s test @ http://127.0.0.1:8101/anonymous/mypage
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.03ms  782.79us  17.84ms   84.44%
    Req/Sec     7.25k   469.58     7.89k    63.64%
  7927 requests in 2.10s, 0.89MB read
"""
END = "Requests/sec:   7212.02\nTransfer/sec:    831.07KB\n"


def wrk(tmp_path: Path, output: str) -> Wrk:
    """Return a wrk that prints *output* and writes its arguments to a file."""
    (tmp_path / "output").write_text(output)
    program = tmp_path / "wrk"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\nhere = Path(__file__).parent\n"
        "(here / 'arguments').write_text('\\n'.join(sys.argv[1:]))\nprint((here / 'output').read_text())\n"
    )
    program.chmod(0o755)
    return Wrk(str(program), connections=8, seconds=3)


async def test_requests_are_counted(tmp_path: Path) -> None:
    assert await wrk(tmp_path, GOOD + END).run("http://127.0.0.1:1/x", {"Cookie": "a=b; c=d"}) == 7927
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments == ["-t1", "-c8", "-d3s", "-HCookie: a=b; c=d", "http://127.0.0.1:1/x"]


@pytest.mark.parametrize(
    "complaint",
    ["  Non-2xx or 3xx responses: 1\n", "  Socket errors: connect 0, read 2, write 0, timeout 0\n"],
)
async def test_a_single_bad_answer_ends_the_cross_check(tmp_path: Path, complaint: str) -> None:
    with pytest.raises(GeneratorError, match=complaint.strip()):
        await wrk(tmp_path, GOOD + complaint + END).run("http://127.0.0.1:1/x", {})


@pytest.mark.parametrize("output", ["unable to connect to 127.0.0.1:1 Connection refused", GOOD.replace("7927", "0")])
async def test_a_missing_answer_is_an_error(tmp_path: Path, output: str) -> None:
    with pytest.raises(GeneratorError, match="wrk, http"):
        await wrk(tmp_path, output).run("http://127.0.0.1:1/x", {})


def test_wrk_is_found_by_wrk_bin_or_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = wrk(tmp_path, GOOD).program
    monkeypatch.setenv("WRK_BIN", program)
    assert find_wrk() == program
    monkeypatch.delenv("WRK_BIN")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_wrk() == program


def test_if_the_program_is_missing_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WRK_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GeneratorError, match="apt-get install wrk"):
        find_wrk()
