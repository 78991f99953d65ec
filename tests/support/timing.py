"""How long tests wait."""

A_BUSY_MACHINE_ADDS = 1.0
"""Seconds that tests wait beyond a promise. `make stress` measures how long answers take, on an idle machine."""
