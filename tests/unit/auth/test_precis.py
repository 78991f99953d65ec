"""Names and passwords are compared as RFC 8265 says; the examples are its own (§3.5 and §4.3)."""

import unicodedata

import pytest
from pydantic_core import PydanticCustomError

from services.auth.accounts.precis import MAX_LENGTH, MAX_NAME_LENGTH, comparable_name, new_password, typed_password


@pytest.mark.parametrize(
    ("typed", "compared"),
    [
        ("juliet@example.com", "juliet@example.com"),
        ("Juliet", "juliet"),
        ("fussball", "fussball"),
        ("fu\u00dfball", "fu\u00dfball"),
        ("\u03a3", "\u03c3"),  # a capital sigma is a small one,
        ("\u03c2", "\u03c2"),  # and a final one is another letter
        ("\uff22\uff4f\uff42", "bob"),  # full width
        ("B\u00d6B", "b\u00f6b"),
        ("bo\u0308b", "b\u00f6b"),
        ("a" * MAX_NAME_LENGTH, "a" * MAX_NAME_LENGTH),
    ],
)
def test_all_spellings_of_a_name_are_the_same_name(typed: str, compared: str) -> None:
    assert comparable_name(typed) == compared


@pytest.mark.parametrize("typed", ["foo bar", "", "Henry\u2163", "\u221e", "No\x00body", "A" * (MAX_NAME_LENGTH + 1)])
def test_an_invalid_name_is_left_unchanged(typed: str) -> None:
    assert comparable_name(typed) == typed


@pytest.mark.parametrize(
    ("typed", "compared"),
    [
        ("correct horse battery staple", "correct horse battery staple"),
        ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
        ("\u03c0\u00df\u00e5\u2026 et cetera", "\u03c0\u00df\u00e5\u2026 et cetera"),
        ("Jack of \u2666s", "Jack of \u2666s"),
        ("foo\u1680bar baz", "foo bar baz"),
        ("caf\u00e9 au lait", "caf\u00e9 au lait"),
        ("cafe\u0301 au lait", "caf\u00e9 au lait"),
        ("\uff46\uff4f\uff4f wide", "\uff46\uff4f\uff4f wide"),  # in passwords, width matters
    ],
)
def test_t11_all_spellings_of_a_password_are_the_same_password(typed: str, compared: str) -> None:
    assert typed_password(typed) == new_password(typed) == compared
    assert typed_password(compared) == compared


@pytest.mark.parametrize("text", ["", "my cat is a\tby", "a null\x00character", "soft\u00adhyphen", "\ud800 surrogate"])
def test_t11_an_invalid_password_never_matches_and_cannot_be_set(text: str) -> None:
    assert typed_password(text) == ""
    with pytest.raises(PydanticCustomError) as refusal:
        new_password(text)
    assert not text or text not in str(refusal.value)


LONGEST = unicodedata.normalize("NFD", "\u1f82")  # four code points of one: no character has more


@pytest.mark.parametrize(
    ("text", "length"),
    [("e\u0301" * 8, 8), ("e\u0301" * MAX_LENGTH, MAX_LENGTH), (LONGEST * MAX_LENGTH, MAX_LENGTH), ("x" * 8, 8)],
)
def test_t11_lengths_count_after_normalisation(text: str, length: int) -> None:
    assert len(new_password(text)) == length


@pytest.mark.parametrize(
    "text", ["e\u0301" * 7, "e\u0301" * (MAX_LENGTH + 1), LONGEST * MAX_LENGTH + "x", "x" * 7, "x" * 10_000]
)
def test_t11_normalised_lengths_are_limited(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="8 to 128 characters"):
        new_password(text)


def test_t10_a_text_too_long_for_any_password_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.auth.accounts.precis._passwords", None)
    assert typed_password("x" * 16_000) == ""
