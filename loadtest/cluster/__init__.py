"""How an experiment starts, breaks and meters a cluster: a protocol, and one implementation per engine."""
