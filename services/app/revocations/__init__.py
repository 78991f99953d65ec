"""Logins that ended before they expired, as this replica knows them."""
