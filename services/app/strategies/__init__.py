"""The table of strategies: URL prefix to factory. A new strategy is a file here and a line below."""

from collections.abc import Mapping

from services.app.parts import Factory
from services.app.strategies import anonymous, cookie, jwt, jwt_cached, jwt_denylist, memory, redis, redis_cached

STRATEGIES: Mapping[str, Factory] = {
    "anonymous": anonymous.create,
    "memory": memory.create,
    "redis": redis.create,
    "redis-cached": redis_cached.create,
    "cookie": cookie.create,
    "jwt": jwt.create,
    "jwt-cached": jwt_cached.create,
    "jwt-denylist": jwt_denylist.create,
}
