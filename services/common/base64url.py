"""base64url without padding (RFC 4648 §5, RFC 7515 §2), decoded strictly: data has exactly one text."""

import base64
import binascii

TO_BASE64 = bytes.maketrans(b"-_+/", b"+/..")  # and what only plain base64 has becomes invalid


def encode(data: bytes) -> str:
    """Return the text of *data*."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the data of *text*. Raises ValueError unless *text* is what `encode` returns for it."""
    letters = text.encode("ascii").translate(TO_BASE64)
    data = binascii.a2b_base64(letters + b"==")  # excess padding is ignored
    if binascii.b2a_base64(data, newline=False).rstrip(b"=") != letters:
        raise ValueError("not canonical base64url")
    return data
