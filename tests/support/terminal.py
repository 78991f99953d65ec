"""What a user sees on a terminal with 80 columns."""

import io

from rich.console import Console, RenderableType


def shown(what: RenderableType) -> str:
    """Return *what* as it is printed."""
    output = io.StringIO()
    Console(file=output, width=80, force_terminal=False).print(what)
    return output.getvalue()
