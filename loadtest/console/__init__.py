"""A live picture of a cluster whose users stay logged in, or do not, while somebody breaks it."""
