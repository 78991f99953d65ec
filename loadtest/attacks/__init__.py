"""Attacks on credentials, made from what an attacker has; and verifiers weak enough to fall for them."""
