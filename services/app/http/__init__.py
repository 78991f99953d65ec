"""What a replica serves over HTTP: each strategy's pages and their description, to requests of the same origin."""
