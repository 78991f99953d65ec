"""What the auth service serves over HTTP."""
