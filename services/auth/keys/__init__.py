"""The keys that sign access tokens: made, stored, rotated, removed."""
