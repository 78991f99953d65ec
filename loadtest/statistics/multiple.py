"""Many comparisons at once: one in twenty 95 % intervals is wrong, so a ranking needs wider ones."""


def family_confidence(comparisons: int, confidence: float = 0.95) -> float:
    """Return the confidence that each interval needs for all of them to hold together with *confidence*.

    (Šidák 1967: exact if they are independent, on the safe side if they are not.) 28 comparisons: 99.82 %.
    """
    if comparisons < 1:
        raise ValueError("a family needs at least one comparison")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    return float(confidence ** (1 / comparisons))
