"""Children are asked, and answer, in JSON lines."""

import sys
from pathlib import Path

import pytest

from loadtest.load.children import Child, GeneratorError

ECHO = "import sys; [print(line, end='', flush=True) for line in sys.stdin]"
WRITES_ITS_LOG_TWICE = "import sys; open(sys.argv[1], 'a').write('one\\n'); sys.stderr.write('two\\n')"


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


async def test_a_child_answers_with_the_event_that_is_due(tmp_path: Path) -> None:
    child = Child("a child", python(ECHO), tmp_path / "log")
    await child.start()
    child.ask(event="ready", users=3)
    assert await child.expect("ready", 20) == {"event": "ready", "users": 3}
    child.ask(event="ready")
    with pytest.raises(GeneratorError, match=r"^a child: said 'ready', 'done' was due$"):
        await child.expect("done", 20)
    await child.close()


async def test_its_environment_is_the_one_that_it_was_given(tmp_path: Path) -> None:
    told = 'import json, os; print(json.dumps({"event": "told", "value": os.environ["NAME"]}))'
    child = Child("a child", python(told), tmp_path / "log", {"NAME": "value"})
    await child.start()
    assert (await child.expect("told", 20))["value"] == "value"
    await child.close()


async def test_an_error_shows_what_this_child_wrote_and_nothing_older(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier run\n")
    child = Child("a child", python(WRITES_ITS_LOG_TWICE, str(log)), log)
    await child.start()
    with pytest.raises(GeneratorError, match=r"a child: ended, 'ready' was due\n.*:\none\ntwo\n$"):
        await child.expect("ready", 20)
    await child.close()
