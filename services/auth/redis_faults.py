"""What the service answers when Redis does not."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)


@contextmanager
def unavailable_without_redis() -> Iterator[None]:
    """Raise `Unavailable` when Redis does not answer what is asked inside."""
    try:
        yield
    except (RedisError, OSError) as error:
        log.warning("Redis does not answer: %s", error)
        raise Unavailable("The store of logins does not answer.") from error
