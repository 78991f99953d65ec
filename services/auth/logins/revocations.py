"""Writes the stream of `services.common.revocations`."""

from services.common.revocations import MAX_ENTRIES, STREAM

__all__ = ["LUA", "STREAM"]

# Expects `now` (Unix time), `token_life`, `session_life` (seconds) and `stream` as Lua locals. The scripts that use it
# delete first: Redis lets a script go on that has written, so that logins can be ended when its memory is full.
LUA = f"""
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
