"""What programs that run for months do without."""

from __future__ import annotations

import sys
from typing import Any


def leave_out_rich() -> None:
    """To be called before anything of the service is imported, in programs that draw no tables.

    structlog imports rich, and pygments with it, wherever they are installed, to colour tracebacks: 4 MB in each
    process, and a tenth of a second of its start.
    """
    modules: dict[str, Any] = sys.modules  # None for a name is Python's way to say that there is no such module
    modules.setdefault("rich", None)
