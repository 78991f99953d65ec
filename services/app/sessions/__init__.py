"""Sessions: what they hold, the cookie that identifies them, and the stores that keep them."""
