"""What does the login state cost per request? CPU of a replica that is kept busy, as differences and ratios."""
