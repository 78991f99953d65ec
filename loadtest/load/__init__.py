"""What puts load on a cluster."""
