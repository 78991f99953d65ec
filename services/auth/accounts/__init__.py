"""Accounts and passwords: who a user is, and how often somebody may guess."""
