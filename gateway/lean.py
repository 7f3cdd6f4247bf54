"""What a process that runs for years does not load: called first, before anything imports structlog."""

from __future__ import annotations

import sys
from typing import Any, cast


def without_rich() -> None:
    """Import structlog without rich, which it takes only to colour tracebacks: 5 MB and a tenth of a second."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    modules = cast(dict[str, Any], sys.modules)
    modules["rich"] = None  # its import fails, as where it is not installed
    try:
        import structlog.dev  # noqa: F401
    finally:
        del modules["rich"]
