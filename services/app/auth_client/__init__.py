"""How a replica reaches the auth service."""
