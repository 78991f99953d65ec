"""base64url without padding (RFC 4648 §5, RFC 7515 §2), read strictly: what is encoded has exactly one text."""

import base64
import binascii

TO_BASE64 = bytes.maketrans(b"-_+/", b"+/..")  # what only plain base64 has is no letter any more


def encode(data: bytes) -> str:
    """Return the text of *data*."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return what *text* encodes. Raises ValueError unless it is the text that `encode` returns for that."""
    letters = text.encode("ascii").translate(TO_BASE64)
    data = binascii.a2b_base64(letters + b"==")  # padding that is not needed is ignored
    if binascii.b2a_base64(data, newline=False).rstrip(b"=") != letters:
        raise ValueError("not canonical base64url")
    return data
