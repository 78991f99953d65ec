"""base64url: what is encoded has exactly one text."""

import base64
import secrets

import pytest

from services.common import base64url


@pytest.mark.parametrize("length", range(40))
def test_what_is_encoded_is_decoded(length: int) -> None:
    data = secrets.token_bytes(length)
    text = base64url.encode(data)
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert base64url.decode(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AB",
        "AAB",
        "AAAAA",
        "AA==",
        "AAA=",
        "AAAA====",
        "+AAA",
        "/AAA",
        "AA A",
        " AAAA",
        "AAAA\n",
        "AA.A",
        "ÄAAA",
        "\ud800AAA",
    ],
)
def test_another_text_of_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|codec"):
        base64url.decode(text)
