"""Sessions: what they hold, the cookie that leads to them, and the stores they are kept in."""
