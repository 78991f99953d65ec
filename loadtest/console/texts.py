"""All texts of the console, in the languages of `texts.toml`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CATALOGUE = Path(__file__).with_name("texts.toml")
LANGUAGES = {"en": "English", "ko": "한국어"}
DEFAULT = "en"


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return each text in each language, by its key."""
    return tomllib.loads(CATALOGUE.read_text())


def text(language: str, key: str, **values: object) -> str:
    """Return the text *key* with *values* in it; without a translation, the key itself, as for words of strategies."""
    translations = catalogue().get(key, {})
    found = translations.get(language) or translations.get(DEFAULT, key)
    return found.format(**values) if values else found


def preferred(accepted: str) -> str:
    """Return the language that a browser prefers, by its `Accept-Language`."""
    for part in accepted.split(","):
        language = part.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return DEFAULT
