"""What a replica serves over HTTP: the pages of each strategy, its own description, the guard against other origins."""
