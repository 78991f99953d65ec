"""The catalogue of texts: complete in every language, with the same values to fill in."""

import re
import string

import pytest

from loadtest.console import texts
from loadtest.console.actions import ACTIONS
from loadtest.console.texts import LANGUAGES, catalogue, preferred, text
from loadtest.console.tour import STEPS
from loadtest.console.view import EXPLAINED, NUMBERS, TIERS
from tests.support.strategies import INFOS

PACKAGE = texts.CATALOGUE.parent
OWN = {key: translations for key, translations in catalogue().items() if "en" in translations}


def fields(translation: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(translation) if name}


@pytest.mark.parametrize("key", OWN)
def test_every_text_is_there_in_every_language_with_the_same_values(key: str) -> None:
    translations = OWN[key]
    assert translations.keys() == LANGUAGES.keys()
    assert all(translations.values())
    assert len({frozenset(fields(translation)) for translation in translations.values()}) == 1


def needed() -> set[str]:
    """Keys that pages and code name, or put together."""
    written = "".join(path.read_text() for path in (*PACKAGE.glob("templates/*.j2"), *PACKAGE.glob("*.py")))
    literal = set(re.findall(r"""\bt\(["']([^"']+)["']""", written)) | set(re.findall(r'"(effect\.[^"]+)"', written))
    literal |= set(re.findall(r'text\(_language\(request\), "([^"]+)"', written))
    literal = {key for key in literal if not key.endswith(".")}
    states = {f"state.{state}" for state in ("alive", "draining", "paused", "dead")}
    steps = {f"tour.{step}.{what}" for step in range(1, len(STEPS) + 2) for what in ("title", "says")}
    steps |= {f"tour.{step}.terms" for step in range(1, len(STEPS) + 1)}
    numbers = {f"{what}.{name}" for what in ("number", "short") for name in NUMBERS}
    hints = {f"hint.{name}" for name in EXPLAINED}
    actions = {f"{what}.{key}" for what in ("action", "did") for key in ACTIONS}
    return literal | states | steps | numbers | hints | actions | {f"tier.{name}" for name in TIERS}


def test_there_is_a_text_for_every_key_and_none_that_nobody_uses() -> None:
    assert needed() == OWN.keys()


def test_what_nobody_has_translated_is_shown_as_it_is() -> None:
    assert text("ko", "A strategy of your own") == "A strategy of your own"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("fr,de", "en"), ("fr, ko;q=0.2", "ko"), (";;,,", "en")],
)
def test_the_browser_says_which_language_it_prefers(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


def test_sentences_of_strategies_are_ones_that_they_still_say() -> None:
    said = {sentence for info in INFOS for sentence in (info.description, info.choose_when)}
    assert catalogue().keys() - OWN.keys() <= said
