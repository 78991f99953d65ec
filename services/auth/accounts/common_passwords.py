"""Passwords that are guessed first (NIST SP 800-63B §3.1.1.2): common ones, the username, and this site's name.

The list is zxcvbn's (MIT): the 30,000 most frequent passwords in published leaks, of which 11,611 are long enough here.
"""

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from services.auth.accounts.precis import MIN_LENGTH
from services.common.http.problems import BadRequest

COMMON = frozenset(password for password in FREQUENCY_LISTS["passwords"] if len(password) >= MIN_LENGTH)
SITE = "authscale"


def refuse_common(password: str, username: str, field: str) -> None:
    """Raise `BadRequest`, naming *field*, if *password* is common, the username or this site's name.

    Case is ignored, because it is what guessers vary first.
    """
    folded = password.casefold()
    if folded in COMMON or folded in (username.casefold(), SITE):
        raise BadRequest(f"{field}: This password is too easy to guess. Please choose another one.")
