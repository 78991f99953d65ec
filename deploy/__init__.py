"""Files and scripts that start a deployment."""
