"""How processes log: one line for each event on stderr, so that stdout stays the answer. Secrets never reach a log.

`quiet` is for commands that answer a person; `configure` for what runs on: readable lines on a terminal, JSON
elsewhere.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import structlog

NOISY: Final = ("asyncua", "pymodbus", "apscheduler", "aiohttp.access", "asyncio")
"""Libraries that write at INFO what nobody can act on; asyncua's halves its own throughput."""


def quiet() -> None:
    """Say nothing but warnings."""
    configure(logging.ERROR)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def configure(level: int = logging.INFO) -> None:
    """Log to stderr from this level on."""
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    terminal = sys.stderr.isatty()
    last: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
