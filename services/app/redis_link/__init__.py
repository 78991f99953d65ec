"""One connection to Redis for what every request asks."""
