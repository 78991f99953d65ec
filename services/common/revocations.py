"""How the auth service tells the replicas about revocations: logins that end before they expire.

The step that ends a login also adds an entry to the Redis stream `auth:revocations`, atomically. Its fields are texts:

    kind      `family`    one login: applies to every token whose `sid` is *subject*
              `user`      every login of the user *subject*: tokens and sessions
              `sessions`  every session of the user *subject*, but no token
              `jti`       the access token *subject* (reserved: the auth service always ends the whole login)
    subject   the id
    before    Unix time of the revocation, with fractions. A `user` entry applies to tokens with `iat` < int(*before*);
              those of the same second have `family` entries. It applies to sessions whose password was checked at or
              before *before*
    expires   Unix time, including leeway, after which nothing that the entry applies to can be valid

Signing out everywhere, a forced logout and a disabled account add a `family` entry for each login, then a `user` entry.
Signing out other devices and changing the password add `family` entries for the other logins, then a `sessions` entry:
the current login continues.

The stream is bounded. Each write trims entries that are older than the longest lifetime of what they apply to, and
drops the oldest ones beyond about `MAX_ENTRIES`. Without writes, the stream expires after that lifetime. A reader that
was disconnected continues after the last id it saw. It has missed entries if that one is recent, but no longer there. A
new reader has missed entries if the stream has reached its maximum length. Ids are Redis's own time, so they keep
rising even after the stream has expired.
"""

from collections.abc import Mapping
from typing import NamedTuple

STREAM = "auth:revocations"
MAX_ENTRIES = 200_000

# For scripts that end logins. Expects the Lua locals `now` (Unix time), `token_life`, `session_life` (seconds) and
# `stream`. Such a script must delete something first: Redis lets a script that has written continue, so that logins can
# be ended even when its memory is full.
PUBLISH = f"""
local life = math.max(token_life, session_life)
local function publish(kind, subject, seconds)
    redis.call('XADD', stream, 'MAXLEN', '~', {MAX_ENTRIES}, '*',
        'kind', kind, 'subject', subject, 'before', now, 'expires', tostring(math.ceil(now + seconds)))
end
local function trim()
    local oldest = (redis.call('TIME')[1] - life) * 1000
    redis.call('XTRIM', stream, 'MINID', string.format('%.0f', oldest))
    redis.call('EXPIRE', stream, life)
end
"""


class Revocation(NamedTuple):
    """One entry of the stream, as read."""

    kind: str
    subject: str
    before: float
    expires: float


def read_revocation(fields: Mapping[bytes, bytes]) -> Revocation:
    """Read an entry's fields. Raises ValueError if they are not those of a revocation."""
    try:
        kind, subject = fields[b"kind"].decode(), fields[b"subject"].decode()
        return Revocation(kind, subject, float(fields[b"before"]), float(fields[b"expires"]))
    except KeyError as error:
        raise ValueError(f"missing field {error}") from None
