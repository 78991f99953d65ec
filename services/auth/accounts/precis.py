"""How names and passwords are compared (PRECIS, RFC 8265): alike however a keyboard or a system writes them.

Unicode is that of the running Python; code points that it does not know are refused.
"""

from precis_i18n import get_profile
from pydantic_core import PydanticCustomError

MAX_NAME_LENGTH = 64
MIN_LENGTH, MAX_LENGTH = 8, 128  # of passwords, in code points, as compared
MAX_TYPED_LENGTH = 4 * MAX_LENGTH  # NFC joins four code points into one at most: what is longer stays too long

_names, _passwords = get_profile("UsernameCaseMapped"), get_profile("OpaqueString")


def comparable_name(typed: str) -> str:
    """Return what is the same for each spelling of a name (RFC 8265 §3.3): in lower case, full-width letters as ASCII.

    What cannot be a name is returned as it is: nobody has it.
    """
    if len(typed) > MAX_NAME_LENGTH:
        return typed
    try:
        return str(_names.enforce(typed))
    except UnicodeError:
        return typed


def typed_password(text: str) -> str:
    """Return *text* as hashed and compared (RFC 8265 §4.2), or "", which is nobody's password, if it cannot be one."""
    if len(text) > MAX_TYPED_LENGTH:
        return ""
    try:
        return str(_passwords.enforce(text))
    except UnicodeError:
        return ""


def new_password(text: str) -> str:
    """Return a password to set as it is hashed and compared.

    Raises pydantic's error, which does not repeat it, if it cannot be one.
    """
    password = typed_password(text)
    if 0 < len(text) <= MAX_TYPED_LENGTH and not password:
        raise PydanticCustomError("password", "Control characters, invisible and unassigned ones are not allowed.")
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PydanticCustomError("password", f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    return password
