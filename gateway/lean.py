"""A gateway's process without what it does not need: each of these costs megabytes for as long as it runs.

Called first, before anything else imports the libraries. Whatever a library has changed so that this no longer fits,
the library is then loaded whole: leaner is never worth a gateway that does not start. Measured with
`toolcrib benchmark startup`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""The options of mallopt(3)."""
_LARGE: Final = 32 * 1024
"""Bytes."""

_ENGINE: Final = "sqlalchemy.ext.asyncio"
_OPCUA: Final = "asyncua"
_EXECUTORS: Final = "apscheduler.executors.pool"
_PROCESSES: Final = ("multiprocessing", "concurrent.futures.process")
_OPCUA_TYPES: Final = ("ua", "Node", "uamethod")
"""What asyncua's own modules and our connector take from its package, before anything inside it."""


def run_gateway(file: str) -> int:
    """Run the gateway of a config until it is stopped; return the exit code."""
    heed_signals()
    return_memory()
    trim()
    from gateway.build import run

    return run(Path(file))


def heed_signals() -> None:
    """Until the gateway itself listens for SIGTERM nothing is open, and stopping is just leaving."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))


def return_memory() -> None:
    """Let what is freed go back to the system at once, and threads share one heap: 17 MB under 5,000 tags at 10 Hz.

    Left to itself glibc keeps a heap for each thread and learns to keep large blocks, too (mallopt(3)). What takes
    large blocks here are columns of values, ten times a second at most. Another C library is left as it is.
    """
    with suppress(OSError, AttributeError, TypeError):
        set_option = ctypes.CDLL(None).mallopt
        for option, value in (
            (_ARENA_MAX, 1),
            (_MMAP_THRESHOLD, _LARGE),
            (_TRIM_THRESHOLD, _LARGE),
            (_TOP_PAD, _LARGE),
        ):
            set_option(option, value)


def trim() -> None:
    """Load the libraries that bring more than a gateway needs, without the rest."""
    without_rich()
    without_orm()
    without_opcua_server()
    without_processes()


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


def without_orm() -> None:
    """Import SQLAlchemy's asyncio engine without the sessions beside it, hence without the ORM: 7 MB."""
    if _ENGINE in sys.modules:
        return
    package = _unopened(_ENGINE)
    if package is None:
        return
    try:
        engine = import_module(f"{_ENGINE}.engine")
        for name in ("AsyncConnection", "AsyncEngine", "AsyncTransaction", "create_async_engine"):
            setattr(package, name, getattr(engine, name))
        import_module("sqlalchemy.util.concurrency")._concurrency_shim._initialize()  # as the package's own start does
        import_module("sqlalchemy.ext").__dict__["asyncio"] = package
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.startswith(_ENGINE)]:
            del sys.modules[name]


def without_opcua_server() -> None:
    """Let `asyncua` come with its client alone, when a connector asks for it: its server and publisher cost 2 MB.

    The package's own start runs once somebody wants more of it than the protocol's types and nodes.
    """
    if _OPCUA in sys.modules:
        return
    package = _unopened(_OPCUA)
    if package is None:
        return

    def find(name: str) -> object:
        if name in _OPCUA_TYPES:
            with suppress(ImportError, AttributeError):
                # first, as in the package's own start: its modules import each other in a ring
                common = import_module(f"{_OPCUA}.common")
                return import_module(f"{_OPCUA}.ua") if name == "ua" else getattr(common, name)
        if name.startswith("__"):
            raise AttributeError(name)
        vars(package).pop("__getattr__")
        cast(Any, package.__spec__).loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = find


def without_processes() -> None:
    """Import APScheduler's executors without pools of processes, of which a gateway has none: 2 MB.

    They take from there no more than the name of the error that such a pool raises, until somebody makes one.
    """
    closed = [name for name in _PROCESSES if name not in sys.modules]
    if _EXECUTORS in sys.modules or find_spec("apscheduler") is None:
        return
    for name in closed:
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name])["BrokenProcessPool"] = RuntimeError
    try:
        import_module(_EXECUTORS)
    except (ImportError, AttributeError):
        sys.modules.pop(_EXECUTORS, None)
    finally:
        for name in closed:
            del sys.modules[name]


def _unopened(name: str) -> ModuleType | None:
    """Return a package that is known to the import system but whose own start has not run, or None if it is missing."""
    spec = find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        return None
    package = ModuleType(name)
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[name] = package
    return package
