"""The app replicas: one page, served under several strategies of keeping login state."""
