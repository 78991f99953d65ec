"""Where the auth service tells of keys removed in an emergency, for replicas that cannot reach it: a set in Redis."""

REMOVED_KEYS = "auth:removed-keys"
REMEMBERED_SECONDS = 7 * 24 * 60 * 60  # after the last removal; no replica trusts keys for longer without fetching them
