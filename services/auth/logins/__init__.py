"""Logins as token pairs: begun, refreshed, revoked, introspected."""
