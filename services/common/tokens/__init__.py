"""Access tokens and keys as both services read them."""
