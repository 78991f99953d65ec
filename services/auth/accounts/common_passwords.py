"""Passwords that are guessed first (NIST 800-63B §3.1.1.2): those that many people had, and what the site suggests.

The list is zxcvbn's (MIT): the 30,000 most frequent ones of published leaks, 11,611 of them long enough for us.
"""

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from services.auth.accounts.precis import MIN_LENGTH
from services.common.http.problems import BadRequest

COMMON = frozenset(password for password in FREQUENCY_LISTS["passwords"] if len(password) >= MIN_LENGTH)
SITE = "authscale"


def refuse_common(password: str, username: str, field: str) -> None:
    """Raise `BadRequest` that names *field* if *password* is common, this name or this site's.

    Case does not help: it is what guessers vary first.
    """
    folded = password.casefold()
    if folded in COMMON or folded in (username.casefold(), SITE):
        raise BadRequest(f"{field}: This password is among the first to be guessed. Please choose another one.")
