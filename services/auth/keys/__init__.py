"""The keys that sign access tokens: created, stored, rotated, removed."""
