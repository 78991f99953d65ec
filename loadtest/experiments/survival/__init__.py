"""Who is logged out when a replica dies?"""
