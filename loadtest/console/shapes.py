"""Shapes that tell replicas apart for those who do not see their colours. SVG paths in a square of 24."""

SHAPES = (
    "M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z",
    "M3.5 3.5h17v17h-17z",
    "M12 1.5L23 21.5H1z",
    "M12 0.5L23.5 12L12 23.5L0.5 12z",
    "M1 2.5H23L12 22.5z",
    "M8.5 2h7v6.5H22v7h-6.5V22h-7v-6.5H2v-7h6.5z",
)
