"""The plots, drawn on axes that they are given."""
