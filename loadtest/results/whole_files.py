"""Files that are there as a whole or not at all, whatever happens while they are written."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes | str) -> None:
    """Write *content* (text as UTF-8) to *path* in one step.

    Raises `OSError` with the name of *path*, at which there is then what was there before.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
