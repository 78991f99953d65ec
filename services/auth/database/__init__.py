"""The SQL database of the auth service."""
