"""The outcome of presenting a refresh token, case by case."""

import pytest

from services.auth.logins.refresh_rotation import (
    MAX_TOKENS,
    Decision,
    Family,
    Issued,
    Outcome,
    RefreshLifetimes,
    decide,
    extend,
    first_terms,
    next_terms,
)

LOGIN = 1000.0
LIFETIMES = RefreshLifetimes(idle=100, absolute=250, grace=10)


def rotate(family: Family, now: float) -> Family:
    terms = next_terms(family, now, LIFETIMES)
    return extend(family, Issued(terms, f"token {terms.generation}"), LIFETIMES.grace)


def family_rotated_at(*times: float) -> Family:
    """Return a family whose tokens are called `token 1`, `token 2`, …"""
    family = Family("f", "u", "c", int(LOGIN + LIFETIMES.absolute), (Issued(first_terms(LOGIN, LIFETIMES), "token 1"),))
    for now in times:
        family = rotate(family, now)
    return family


@pytest.mark.parametrize(
    ("rotations", "presented", "now", "outcome"),
    [
        pytest.param([], "token 1", LOGIN, Outcome.ROTATE, id="T2 the first token rotates"),
        pytest.param([1050], "token 2", 1060, Outcome.ROTATE, id="T2 its successor rotates"),
        pytest.param([1050], "token 1", 1060, Outcome.REPEAT, id="T4 replaced, last moment of the grace"),
        pytest.param([1050], "token 1", 1060.01, Outcome.REUSED, id="T3 replaced, the grace is over"),
        pytest.param([1050, 1051], "token 1", 1055, Outcome.REPEAT, id="T4 slow thread, successor already used"),
        pytest.param([1050, 1070], "token 1", 1071, Outcome.REUSED, id="T3 long replaced, and forgotten"),
        pytest.param([], "token 9", LOGIN, Outcome.REUSED, id="T3 genuine, but not one we remember"),
        pytest.param([], "token 1", 1099.9, Outcome.ROTATE, id="T6 just before the idle expiry"),
        pytest.param([], "token 1", 1100, Outcome.EXPIRED, id="T6 idle expiry"),
        pytest.param([1090, 1180, 1245], "token 4", 1249, Outcome.ROTATE, id="T6 just before the absolute expiry"),
        pytest.param([1090, 1180, 1245], "token 4", 1250, Outcome.EXPIRED, id="T6 absolute expiry"),
        pytest.param([1090, 1180, 1245], "token 3", 1250, Outcome.EXPIRED, id="T6 no grace past the absolute expiry"),
    ],
)
def test_outcome(rotations: list[float], presented: str, now: float, outcome: Outcome) -> None:
    assert decide(family_rotated_at(*rotations), presented, now, LIFETIMES.grace).outcome is outcome


def test_unknown_family() -> None:
    assert decide(None, "token 1", LOGIN, LIFETIMES.grace) == Decision(Outcome.UNKNOWN)


def test_t4_repeat_names_the_successor_of_the_presented_token() -> None:
    family = family_rotated_at(1050, 1051)
    assert decide(family, "token 1", 1055, LIFETIMES.grace).successor == family.tokens[1]
    assert decide(family, "token 2", 1055, LIFETIMES.grace).successor == family.tokens[2]


def test_t6_refreshing_extends_the_idle_expiry_but_never_the_absolute_one() -> None:
    assert family_rotated_at(1050).current.terms.expires_at == 1150
    assert family_rotated_at(1090, 1180).current.terms.expires_at == 1250


def test_a_family_forgets_tokens_whose_grace_period_is_over() -> None:
    assert [issued.digest for issued in family_rotated_at(1050, 1070).tokens] == ["token 2", "token 3"]


def test_a_family_stays_small_however_fast_it_is_refreshed() -> None:
    family = family_rotated_at(*[1050 + i / 100 for i in range(100)])
    assert len(family.tokens) == MAX_TOKENS
    assert family.current.digest == "token 101"
