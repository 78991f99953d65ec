"""Logins that end before they expire: how the auth service tells the replicas.

The Redis stream `auth:revocations` gets an entry in the same atomic step that ends a login. Its fields, all texts:

    kind      `family`    one login: every token whose `sid` is *subject*
              `user`      every login of the user *subject*, tokens and sessions
              `sessions`  every session of the user *subject*, and no token
              `jti`       the one access token *subject* (reserved: what this service ends is the whole login)
    subject   the id
    before    Unix time of the revocation, with fractions. Of a `user`, a token is meant if its `iat` < int(*before*):
              those of the same second are told one by one, as `family`. A session is meant if its password was checked
              at or before *before*
    expires   Unix time after which nothing that is meant can be valid any more, leeway included

Sign-out everywhere, a forced logout and a disabled account write one `family` for each login, then one `user`.
Signing out the others, and a changed password, write `family` for the other logins, then `sessions`: the current login
goes on.

Life is bounded: entries older than the longest life of what they mean are trimmed at the next write, the stream goes
away by itself after that time without one, and above about `MAX_ENTRIES` the oldest are dropped. A reader that was away
reads on after the last id it saw. It missed some if that entry is gone though it is young; one that begins, if the
stream is as long as it may be. Ids are Redis' own time, so that they go on rising after the stream went away.
"""

from collections.abc import Mapping
from typing import NamedTuple

STREAM = "auth:revocations"
MAX_ENTRIES = 200_000

# For scripts that end logins. Expects `now` (Unix time), `token_life`, `session_life` (seconds) and `stream` as Lua
# locals. Such a script deletes first: Redis lets a script go on that has written, so that logins can be ended when its
# memory is full.
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
    """Read an entry's fields. ValueError if they are not those of a revocation."""
    try:
        kind, subject = fields[b"kind"].decode(), fields[b"subject"].decode()
        return Revocation(kind, subject, float(fields[b"before"]), float(fields[b"expires"]))
    except KeyError as error:
        raise ValueError(f"no {error}") from None
