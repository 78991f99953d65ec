"""The auth service: accounts, passwords, signing keys, access tokens and refresh tokens."""
