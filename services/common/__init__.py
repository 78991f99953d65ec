"""What the auth service and the app must agree on, and nothing else."""
