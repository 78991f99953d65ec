"""What users may do beside using their own account."""

ADMIN_ROLE = "admin"
