"""What starts a deployment."""
