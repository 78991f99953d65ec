"""Malformed and unusual requests, byte by byte, to be sent to either service (RFC 9110, RFC 9112)."""

import gzip
import zlib
from collections.abc import Iterator
from typing import NamedTuple

CANARY = b"canary-6f1d"  # no answer repeats it
END = b"\r\n\r\n"


class Service(NamedTuple):
    """Where the requests of the table go, and a valid request of another client."""

    reads: bytes
    """A path whose POST reads a body of type *type*."""
    ignores: bytes
    """A path whose POST does not."""
    type: bytes
    good: bytes
    good_status: int

    def pieces(self, request: "BadRequest") -> list[bytes]:
        """Return what *request* is for this service."""
        names = {b"@reads": self.reads, b"@ignores": self.ignores, b"@type": self.type}
        return [_replaced(piece, names) for piece in request.pieces]


def _replaced(piece: bytes, names: dict[bytes, bytes]) -> bytes:
    for name, value in names.items():
        piece = piece.replace(name, value)
    return piece


class BadRequest(NamedTuple):
    """A bad request, in pieces that arrive one by one. A client that *leaves* does not wait for the answer."""

    pieces: tuple[bytes, ...]
    leaves: bool = False


FORM = b"grant_type=refresh_token&refresh_token=x"
APP = Service(
    reads=b"/redis/login",
    ignores=b"/redis/visits",
    type=b"application/json",
    good=b"POST /redis/visits HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    good_status=401,
)
AUTH = Service(
    reads=b"/auth/token",
    ignores=b"/auth/admin/keys/rotate",
    type=b"application/x-www-form-urlencoded",
    good=b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(FORM), FORM),
    good_status=400,
)
SERVICES = {"app": APP, "auth": AUTH}


def table() -> dict[str, BadRequest]:
    """Return all of them by name."""
    named = [*_encodings(), *_bodies(), *_lengths(), *_chunks(), *_headers(), *_methods(), *_targets(), *_versions()]
    whole = {name: BadRequest(pieces if isinstance(pieces, tuple) else (pieces,)) for name, pieces in named}
    return {f"left: {name}": BadRequest((sent,), leaves=True) for name, sent in _left()} | whole


Rows = Iterator[tuple[str, bytes | tuple[bytes, ...]]]


def request(line: bytes, *headers: bytes, body: bytes | None = None, host: bytes = b"Host: x") -> bytes:
    """Return a request; its Content-Length is that of *body* if there is one."""
    length = [] if body is None else [b"Content-Length: %d" % len(body)]
    return b"\r\n".join([line, *filter(None, [host]), *headers, *length, b"", body or b""])


def post(*headers: bytes, body: bytes = b"{}", to: bytes = b"@reads") -> bytes:
    return request(b"POST %s HTTP/1.1" % to, b"Content-Type: @type", *headers, body=body)


def chunked(*pieces: bytes, to: bytes = b"@reads", headers: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
    """Return a head followed by *pieces*, which should be chunks."""
    head = request(b"POST %s HTTP/1.1" % to, b"Content-Type: @type", b"Transfer-Encoding: chunked", *headers)
    return head, *pieces


def _encodings() -> Rows:
    small, bomb = gzip.compress(b"{}"), gzip.compress(b" " * 10_000_000, mtime=0)
    for coding in (b"br", b"gzip", b"deflate", b"zstd", b"GZIP", b"compress", b"gzip, br", b"identity", b"", b"\xff"):
        yield f"{coding!r}, and is not", post(b"Content-Encoding: " + coding)
    yield "gzip, and is", post(b"Content-Encoding: gzip", body=small)
    yield "deflate, and is", post(b"Content-Encoding: deflate", body=zlib.compress(b"{}"))
    yield "half of a gzip file", post(b"Content-Encoding: gzip", body=small[:-9])
    yield "a gzip bomb", post(b"Content-Encoding: gzip", body=bomb)
    yield "encoded twice", post(b"Content-Encoding: br", b"Content-Encoding: gzip")
    yield "encoded and chunked", chunked(b"2\r\n{}\r\n0\r\n\r\n", headers=(b"Content-Encoding: br",))
    yield "encoded, and nobody reads it", post(b"Content-Encoding: br", to=b"@ignores")
    yield "encoded, with GET", request(b"GET @ignores HTTP/1.1", b"Content-Encoding: br", body=b"{}")
    yield "encoded, to nowhere", post(b"Content-Encoding: br", to=b"/auth/nowhere")
    yield "encoded, and asks first", post(b"Content-Encoding: br", b"Expect: 100-continue")
    yield "encoded, without a body", request(b"POST @reads HTTP/1.1", b"Content-Encoding: br", body=b"")


def _bodies() -> Rows:
    yield "nothing at all", request(b"POST @reads HTTP/1.1", b"Content-Type: @type", body=b"")
    yield "NUL", post(body=b"\0" * 100)
    yield "not UTF-8", post(body=b"\xff\xfe=\xff")
    yield "deeply nested", post(body=b"[" * 10_000)
    yield "a thousand fields", post(body=b"a=1&" * 1000)
    yield "no charset of this world", request(b"POST @reads HTTP/1.1", b"Content-Type: @type; charset=x", body=b"{}")
    yield "two types", post(b"Content-Type: text/plain")
    yield "no type", request(b"POST @reads HTTP/1.1", body=b"{}")
    yield "a control byte in its type", request(b"POST @reads HTTP/1.1", b"Content-Type: a\x01", body=b"{}")
    yield (
        "multipart without a boundary",
        request(b"POST @reads HTTP/1.1", b"Content-Type: multipart/form-data", body=b"--"),
    )
    yield "unread", post(to=b"@ignores")
    yield "unread, and long", post(to=b"@ignores", body=b"x" * 16_000)
    yield "unread, in two pieces", (request(b"POST @ignores HTTP/1.1", b"Content-Length: 9000"), b"x" * 9000)
    yield "too long", post(body=b"x" * 20_000)
    yield "too long, unread", post(to=b"@ignores", body=b"x" * 20_000)
    yield "far too long", post(body=b"x" * 300_000)
    yield "to nowhere", post(to=b"/auth/nowhere", body=b"x" * 9000)
    for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"PUT", b"PATCH"):
        yield f"a body with {method!r}", request(method + b" @ignores HTTP/1.1", body=b"x" * 2000)
    yield "it asks first", post(b"Expect: 100-continue")
    yield "it asks first, where nobody reads", post(b"Expect: 100-continue", to=b"@ignores")
    yield "it asks first, and waits", request(b"POST @ignores HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 0")
    yield "it expects the impossible", post(b"Expect: " + CANARY)


def _lengths() -> Rows:
    for length in (b"-1", b"+2", b"2.0", b"0x2", b"two", b"2, 2", b"", b"9" * 30, b"2 2"):
        yield f"its length is {length!r}", request(b"POST @reads HTTP/1.1", b"Content-Length: " + length) + b"{}"
    yield "two lengths", request(b"POST @reads HTTP/1.1", b"Content-Length: 2", b"Content-Length: 3") + b"{}"
    yield "the same length twice", request(b"POST @reads HTTP/1.1", b"Content-Length: 2", b"Content-Length: 2") + b"{}"
    yield "longer than it says", post() + CANARY + END
    yield "no length", request(b"POST @reads HTTP/1.1") + CANARY + END
    for coding in (b"gzip", b"identity", b"chunked, gzip", b"gzip, chunked", b"chunked, chunked", b"xchunked", b"\xff"):
        head = request(b"POST @reads HTTP/1.1", b"Transfer-Encoding: " + coding)
        yield f"it is transferred as {coding!r}", head + b"2\r\n{}\r\n0\r\n\r\n"
    both = request(b"POST @reads HTTP/1.1", b"Transfer-Encoding: chunked", b"Content-Length: 2")
    yield "chunked, and a length", both + b"2\r\n{}\r\n0\r\n\r\n"
    old = request(b"POST @reads HTTP/1.0", b"Transfer-Encoding: chunked", b"Connection: keep-alive")
    yield "chunked, in HTTP/1.0", old + b"2\r\n{}\r\n0\r\n\r\n"


def _chunks() -> Rows:
    last = b"0\r\n\r\n"
    yield "chunked", chunked(b"2\r\n{}\r\n", last)
    yield "chunked, unread", chunked(b"2\r\n{}\r\n", last, to=b"@ignores")
    yield "chunked, unread, no end of chunks", chunked(b"2\r\n{}\r\n" * 1000, last, to=b"@ignores")
    yield "chunked and too long", chunked(b"4e20\r\n" + b"x" * 20_000 + b"\r\n", last)
    yield "an extension", chunked(b"2;a=b\r\n{}\r\n", last)
    yield "a trailer", chunked(b"2\r\n{}\r\n0\r\nX: y\r\n\r\n")
    yield "a bad trailer", chunked(b"2\r\n{}\r\n0\r\nX\x01 y\r\n\r\n")
    for size in (b"zz", b"-2", b"0x2", b"", b"f" * 17, b"2\n"):
        yield f"its chunk's size is {size!r}", chunked(size + b"\r\n{}\r\n", last)
    yield "a bad size, unread", chunked(b"zz\r\n{}\r\n", last, to=b"@ignores")
    yield "a bad size at once", b"".join(chunked(b"zz\r\n{}\r\n"))
    yield "a bad size at once, where there is nothing", b"".join(chunked(b"zz\r\n{}\r\n", to=b"/auth/password/x"))
    yield "a chunk longer than it says", chunked(b"2\r\n{}{}\r\n", last)


def _headers() -> Rows:
    for byte in (b"\0", b"\x01", b"\x1f", b"\x7f", b"\r", b"\n", b"\x80", b"\xff"):
        yield f"{byte!r} in a header", post(b"X-Bad: a" + byte + CANARY)
    for line in (b"X-Bad : x", b"no colon", b": no name", b"X-\xff: y", b"X-Bad: a\r\n b", b"X Y: z"):
        yield f"the line {line!r}", post(line)
    yield "lines end with LF", b"POST @ignores HTTP/1.1\nHost: x\nContent-Length: 0\n\n"
    yield "200 headers", post(*(b"X-%d: y" % number for number in range(200)))
    yield "a long header", post(b"X-Bad: " + CANARY + b"x" * 15_000)
    yield "a header over the limit", post(b"X-Bad: " + CANARY + b"x" * 40_000)
    yield (
        "WebSocket",
        request(b"GET @ignores HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    )
    yield "WebSocket, with a body", post(b"Connection: Upgrade", b"Upgrade: websocket", to=b"@ignores")
    yield "an old WebSocket", post(b"Sec-WebSocket-Key1: x")
    yield "h2c", post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    yield "it closes", post(b"Connection: close")
    yield "its Connection is odd", post(b"Connection: close, keep-alive, Host, Content-Length")
    yield "two agents", post(b"User-Agent: a", b"User-Agent: b")
    for line in (b"Range: bytes=9-1", b'If-Match: "x"', b"If-Unmodified-Since: Mon, 01 Jan 1990 00:00:00 GMT"):
        yield f"GET with {line!r}", request(b"GET /auth/jwks.json HTTP/1.1", line)
        yield f"GET elsewhere with {line!r}", request(b"GET /healthz HTTP/1.1", line)
    for line in (b"Range: bytes=9-1", b'If-Match: "x"', b"If-Modified-Since: never", b"Authorization: \xff", b"TE: x"):
        yield f"{line!r}", post(line)
    for line in (b"Cookie: =;;=\xff", b"Origin: http://[", b"Sec-Fetch-Site: \xff", b"X-Forwarded-For: \xff", b"Via:"):
        yield f"{line!r}", post(line)
    for host in (
        b"",
        b"Host:",
        b"Host: a b",
        b"Host: x/y",
        b"Host: u@x:99999",
        b"Host: [::1",
        b"Host: \xff",
        b"Host: .",
    ):
        yield f"the host {host!r}", request(b"POST @reads HTTP/1.1", b"Content-Type: @type", body=b"{}", host=host)
    yield "two hosts", post(b"Host: y")


def _methods() -> Rows:
    for method in (
        b"FOO",
        b"get",
        b"TRACE",
        b"PROPFIND",
        b"M-SEARCH",
        b"SOURCE",
        b"QUERY",
        b"X" * 100,
        b"",
        b"P\xffST",
    ):
        yield f"the method {method!r}", request(method + b" /auth/%s HTTP/1.1" % CANARY, body=b"x" * 15_000)
    yield "CONNECT to a host", request(b"CONNECT example.org:443 HTTP/1.1")
    yield "CONNECT to a path", request(b"CONNECT @ignores HTTP/1.1", body=b"x" * 100)
    yield "OPTIONS of the server", request(b"OPTIONS * HTTP/1.1")


def _targets() -> Rows:
    for target in (
        b"\xff",
        b"\xe4",
        b"a\x01",
        b"a\x7f",
        b"a b",
        b"%zz",
        b"%00",
        b"%ff",
        b"#x",
        b"\\",
        b"{|}^`",
        b"?\xff",
    ):
        yield f"the target {target!r}", request(b"POST /auth/%s%s HTTP/1.1" % (CANARY, target), body=b"{}")
    yield "an 8-bit target and a body", request(b"POST /\xff HTTP/1.1", body=b"x" * 15_000)
    for target in (b"*", b"//", b"?", b"x", b"", b"/../..", b"/%2e%2e/%2e%2e", b"http://", b"http://y", b"http://[/"):
        yield f"GET {target!r}", request(b"GET %s HTTP/1.1" % target)
    for origin in (b"http://y", b"https://y", b"http://u:p@y", b"ftp://y", b"y:80"):
        yield f"the origin {origin!r}", request(b"GET " + origin + b"@ignores HTTP/1.1")
    yield "a long target", request(b"GET /auth/%s HTTP/1.1" % (b"x" * 15_000))
    yield "a target over the limit", request(b"GET /auth/%s HTTP/1.1" % (b"x" * 40_000))
    yield "a long query", request(b"GET @ignores?%s HTTP/1.1" % (b"x=y&" * 3000))


def _versions() -> Rows:
    for version in (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1", b"HTTP/1.1x", b"HTTX/1.1", b"http/1.1", b""):
        yield f"the version {version!r}", request(b"POST @ignores " + version, body=b"{}")
    yield "HTTP/1.0", request(b"POST @ignores HTTP/1.0", body=b"{}", host=b"")
    yield "HTTP/1.0, kept", request(b"POST @ignores HTTP/1.0", b"Connection: keep-alive", body=b"{}")
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x11" * 100 + END
    yield "SSH", b"SSH-2.0-OpenSSH_9.6" + END
    yield "zeros", b"\0" * 100 + END
    yield "empty lines first", b"\r\n\r\n" + post(to=b"@ignores")
    yield "40 at once", post(to=b"@ignores") * 40
    yield "a good one and garbage", post(to=b"@ignores") + b"\x01\x02" + END
    yield "a closing one and another", post(b"Connection: close") + post()


def _left() -> Iterator[tuple[str, bytes]]:
    """Yield requests whose client disconnects at once."""
    yield "nothing sent", b""
    yield "half a line", b"POST @rea"
    yield "HTTP/0.9", b"GET @ignores\r\n"
    yield "half a head", b"POST @reads HTTP/1.1\r\nHost: x\r\nContent-"
    yield "half a body", request(b"POST @reads HTTP/1.1", b"Content-Type: @type", b"Content-Length: 100") + b"{"
    yield "half an unread body", request(b"POST @ignores HTTP/1.1", b"Content-Length: 100") + b"{"
    yield "half a chunk", b"".join(chunked(b"64\r\n{"))
    yield "half an unread chunk", b"".join(chunked(b"64\r\n{", to=b"@ignores"))
    yield "half of the chunks", b"".join(chunked(b"2\r\n{}\r\n"))
    yield "before 100 Continue", request(b"POST @reads HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 2")
    yield "all of it sent", post()
    yield "all of it sent, unread", post(to=b"@ignores")
