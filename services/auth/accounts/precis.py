"""How names and passwords are compared (PRECIS, RFC 8265), however a keyboard or system encodes them.

The Unicode version is that of the running Python. Unassigned code points are refused.
"""

from precis_i18n import get_profile
from pydantic_core import PydanticCustomError

MAX_NAME_LENGTH = 64
MIN_LENGTH, MAX_LENGTH = 8, 128  # of normalized passwords, in code points
MAX_TYPED_LENGTH = 4 * MAX_LENGTH  # NFC joins at most four code points into one: longer texts stay too long

_names, _passwords = get_profile("UsernameCaseMapped"), get_profile("OpaqueString")


def comparable_name(typed: str) -> str:
    """Return the same text for all spellings of a name (RFC 8265 §3.3): in lower case, full-width letters as ASCII.

    Invalid names, which no account has, are returned unchanged.
    """
    if len(typed) > MAX_NAME_LENGTH:
        return typed
    try:
        return str(_names.enforce(typed))
    except UnicodeError:
        return typed


def typed_password(text: str) -> str:
    """Return *text* normalized for hashing (RFC 8265 §4.2), or "", which is nobody's password, if it is not allowed."""
    if len(text) > MAX_TYPED_LENGTH:
        return ""
    try:
        return str(_passwords.enforce(text))
    except UnicodeError:
        return ""


def new_password(text: str) -> str:
    """Return a new password normalized for hashing.

    Raises pydantic's error, without repeating the password, if it is not allowed.
    """
    password = typed_password(text)
    if 0 < len(text) <= MAX_TYPED_LENGTH and not password:
        raise PydanticCustomError("password", "Passwords must not contain control, invisible or unassigned characters.")
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PydanticCustomError("password", f"Passwords must have {MIN_LENGTH} to {MAX_LENGTH} characters.")
    return password
