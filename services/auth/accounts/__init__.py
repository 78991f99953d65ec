"""Accounts and passwords: who somebody is, and how often they may guess."""
