"""The service over HTTP: handlers parse, call and answer."""
