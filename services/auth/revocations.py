"""What has been taken back before its time, published for whoever verifies tokens without asking this service.

The Redis stream `auth:revocations` gets an entry in the same atomic step that ends a login. Its fields, all texts:

    kind      `family`  one login: every token whose `sid` is *subject*
              `user`    every login of the user *subject*. A token is meant if its `iat` < int(*before*): those of
                        the same second are told one by one, as `family`. A session is meant if it began at or before
                        *before*
              `jti`     the one access token *subject* (reserved: what this service ends is the whole login)
    subject   the id
    before    Unix time of the ending, with fractions
    expires   Unix time after which no access token that is meant can be valid any more, leeway included

Sign-out everywhere, a forced logout and a disabled account write one `family` for each login, then one `user`.
Signing out the others, and a changed password, write only the `family` entries: the current login goes on.

Life is bounded: entries older than the longest life of an access token are trimmed at the next write, the stream goes
away by itself after that time without one, and above about `MAX_ENTRIES` the oldest are dropped. A reader that was away
reads on after the last id it saw; that it missed some is known by a `max-deleted-entry-id` (XINFO STREAM) above that.
Ids are Redis' own time, so that they go on rising after the stream went away.
"""

STREAM = "auth:revocations"
MAX_ENTRIES = 200_000

# Expects `now` (Unix time), `life` (seconds) and `stream` as Lua locals. The scripts that use it delete first: Redis
# lets a script go on that has written, so that logins can be ended when its memory is full.
LUA = f"""
local function publish(kind, subject)
    redis.call('XADD', stream, 'MAXLEN', '~', {MAX_ENTRIES}, '*',
        'kind', kind, 'subject', subject, 'before', now, 'expires', tostring(math.ceil(now + life)))
end
local function trim()
    local oldest = (redis.call('TIME')[1] - life) * 1000
    redis.call('XTRIM', stream, 'MINID', string.format('%.0f', oldest))
    redis.call('EXPIRE', stream, life)
end
"""
