"""The texts of refresh tokens: reproducible, and accepted only if they are exactly ours."""

from typing import Any

import jwt
import pytest

from services.auth.logins.refresh_rotation import Terms
from services.auth.logins.refresh_tokens import InvalidRefreshTokenError, Presented, RefreshTokens, digest

KEY = b"k" * 32
TOKENS = RefreshTokens("https://issuer/auth", KEY)
TERMS = Terms(generation=3, issued_at=1000.5, expires_at=2000)
TEXT = TOKENS.text("family", "user", "client", TERMS)
CLAIMS = jwt.decode(TEXT, options={"verify_signature": False})


def forge(claims: dict[str, Any] | None = None, key: bytes = KEY, typ: str = "rt+jwt", algorithm: str = "HS256") -> str:
    return jwt.encode(CLAIMS | (claims or {}), key, algorithm, headers={"typ": typ})


def without(name: str) -> str:
    return jwt.encode({k: v for k, v in CLAIMS.items() if k != name}, KEY, "HS256", headers={"typ": "rt+jwt"})


def test_t4_the_same_claims_give_the_same_token() -> None:
    assert TOKENS.text("family", "user", "client", TERMS) == TEXT


def test_t7_a_token_is_bound_to_user_client_and_audience() -> None:
    assert TOKENS.read(TEXT) == Presented("family", "user", "client", digest(TEXT))
    assert (CLAIMS["sub"], CLAIMS["client_id"], CLAIMS["aud"]) == ("user", "client", "https://issuer/auth")


def test_the_forgery_without_a_change_is_accepted() -> None:
    """Proves that the forgeries below are refused because of what they change."""
    assert TOKENS.read(forge()) == TOKENS.read(TEXT)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(forge(typ="at+jwt"), id="J7 another type"),
        pytest.param(forge(typ="JWT"), id="J7 no particular type"),
        pytest.param(forge(key=b"x" * 32), id="another key"),
        pytest.param(forge(algorithm="HS512", key=KEY * 2), id="J5 another algorithm"),
        pytest.param(jwt.encode(CLAIMS, "", "none", headers={"typ": "rt+jwt"}), id="J1 none"),
        pytest.param(forge({"aud": "https://issuer"}), id="J8 aud is a prefix"),
        pytest.param(forge({"aud": ["https://issuer/auth"]}), id="J8 aud is a list"),
        pytest.param(forge({"iss": "https://issuer/auth/"}), id="J9 another issuer"),
        pytest.param(forge({"sub": 7}), id="sub is a number"),
        *(pytest.param(without(name), id=f"J10 no {name}") for name in CLAIMS),
        pytest.param(TEXT[:-1], id="cut"),
        pytest.param(TEXT + "\udcff", id="S17 a byte that is not ASCII"),
        pytest.param("", id="nothing"),
        pytest.param("a.b.c", id="dots"),
        pytest.param("." * 10_000, id="many dots"),
    ],
)
def test_any_other_change_is_refused(text: str) -> None:
    with pytest.raises(InvalidRefreshTokenError):
        TOKENS.read(text)
