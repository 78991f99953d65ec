"""The table of strategies: URL prefix to factory. A new strategy is a file here and a line below."""

from collections.abc import Mapping

from services.app.parts import Factory
from services.app.strategies import anonymous, jwt, memory, redis

STRATEGIES: Mapping[str, Factory] = {
    "anonymous": anonymous.create,
    "memory": memory.create,
    "redis": redis.create,
    "jwt": jwt.create,
}
