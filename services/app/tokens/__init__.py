"""Access tokens at a replica: the keys that verify them, and what a token strategy does with them."""
