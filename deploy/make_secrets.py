"""Make the missing secrets of a deployment: `python -m deploy.make_secrets DIRECTORY`.

The local cluster and a one-shot service in Compose run this on first start. Existing secrets are kept, so a second run
changes nothing. Files have mode 600, the directory 700.
"""

import hashlib
import os
import secrets
import sys
from pathlib import Path

NAMES = (
    "admin-password",
    "app-client-secret",
    "cookie-keys",
    "key-encryption-secret",
    "postgres-password",
    "redis-password",
    "token-signing-secret",
)


def make_secrets(directory: Path) -> list[str]:
    """Create each missing secret in *directory* (256 random bits, URL-safe) and return the names of the new ones."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = [name for name in NAMES if _write_new(directory / name, secrets.token_urlsafe(32))]
    digest = hashlib.sha256((directory / "redis-password").read_bytes()).hexdigest()
    _write_new(directory / "redis.acl", f"user default on #{digest} ~* &* +@all\n")
    return made


def _write_new(path: Path, text: str) -> bool:
    """Write *text* to *path* atomically, unless the file exists. Return whether it was written."""
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.rename(path)
    return True


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):  # the program and its one argument
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    print(f"{target}: made {', '.join(make_secrets(target)) or 'nothing: all secrets exist'}")  # noqa: T201  # the output of the command
