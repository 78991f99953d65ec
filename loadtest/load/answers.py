"""Takes HTTP/1.1 answers apart (RFC 9112), just far enough to compare them."""

from typing import NamedTuple

END_OF_HEAD = b"\r\n\r\n"
MAX_HEAD = 65536


class Answer(NamedTuple):
    """A whole answer. *head* is the status line and the header fields, *size* the bytes it took on the wire."""

    status: int
    head: bytes
    body: bytes
    size: int

    def values(self, name: str) -> list[str]:
        """Return the values of the header field *name* (in lower case), in order."""
        fields = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return [value.strip().decode("latin-1") for field, _, value in fields if field.lower() == name.encode()]


def read_answer(received: bytes | bytearray) -> Answer | None:
    """Return the answer that *received* begins with, or None while it is not complete.

    Raises `ValueError` for what is no answer, or one whose end only the end of the connection would tell.
    """
    end = received.find(END_OF_HEAD)
    if end < 0:
        if len(received) > MAX_HEAD:
            raise ValueError("the head of the answer has no end")
        return None
    head, start = bytes(received[:end]), end + len(END_OF_HEAD)
    if not head.startswith(b"HTTP/1.1 "):
        raise ValueError("this is no answer in HTTP/1.1")
    found = _read_body(head.lower(), received, start)
    return found and Answer(int(head[9:12]), head, *found)


def _read_body(head: bytes, received: bytes | bytearray, start: int) -> tuple[bytes, int] | None:
    """Return the body that begins at *start*, and where it ends."""
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].partition(b"\r\n")[0])
        end = start + length
        return (bytes(received[start:end]), end) if len(received) >= end else None
    if b"\r\ntransfer-encoding: chunked" in head:
        return _read_chunks(received, start)
    raise ValueError("the answer has neither a Content-Length nor chunks")


def _read_chunks(received: bytes | bytearray, start: int) -> tuple[bytes, int] | None:
    """Put the chunks together (RFC 9112 §7.1). Trailer fields are not expected."""
    body = b""
    while (line := received.find(b"\r\n", start)) >= 0:
        length, begin = int(received[start:line].partition(b";")[0], 16), line + 2
        start = begin + length + 2
        if len(received) < start:
            return None
        if length == 0:
            return body, start
        body += received[begin : begin + length]
    return None
