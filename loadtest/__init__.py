"""Load tests, experiments and the report: a black-box client of a cluster. `python -m loadtest --help` teaches."""
