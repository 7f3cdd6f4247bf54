"""What starting costs: time of the commands, time and memory of a gateway with 1,000 tags, size of what is installed.

Everything is measured on whole processes, now, on this computer; times are medians. The gateway that is measured is
the real one, reading 1,000 tags of one machine from a real OPC-UA server over an encrypted,
pinned connection. Figures come with no verdict: what is allowed is said elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway import control_client
from gateway.benchmarks.small_site import component, config_of

if TYPE_CHECKING:
    from connectors.simulator.factory import Addresses
    from connectors.simulator.machines import MachinePlan

TAGS: Final = 1_000
READY_S: Final = 60.0
STOP_S: Final = 10.0
SETTLE_S: Final = 3.0
"""After ready the first values of all tags arrive; the memory is read when they have."""
DISTRIBUTION: Final = "toolcrib"
PACKAGES: Final = ("gateway", "marketplace", "maintenance", "connectors")


class BenchmarkFailed(Exception):
    """Something could not be measured; `str()` says what."""


def measure_startup(runs: int = 5) -> dict[str, int]:
    """Return every figure: milliseconds, megabytes (10^6 bytes), and the number of packages.

    Raises `BenchmarkFailed`.
    """
    version_ms, help_ms = command_ms(["--version"], runs), command_ms(["--help"], runs)
    ready_ms, rss_mb = asyncio.run(_gateway(max(1, (runs + 1) // 2)))
    packages, installed = installed_size(DISTRIBUTION)
    return {
        "version_ms": version_ms,
        "help_ms": help_ms,
        "ready_ms": ready_ms,
        "rss_mb": rss_mb,
        "packages": packages,
        "installed_mb": round(installed / 1e6),
    }


def command() -> list[str]:
    """Return how this very installation is started as a process of its own."""
    script = Path(sys.executable).with_name(DISTRIBUTION)
    return [str(script)] if script.exists() else [sys.executable, "-m", "gateway"]


def command_ms(arguments: list[str], runs: int) -> int:
    """Return the median duration of a command, after one run that fills the caches. Raises `BenchmarkFailed`."""
    taken = []
    for _run in range(runs + 1):
        before = time.perf_counter()
        done = subprocess.run([*command(), *arguments], capture_output=True, check=False)  # noqa: S603 - ourselves
        taken.append((time.perf_counter() - before) * 1000)
        if done.returncode != 0:
            raise BenchmarkFailed(_("'toolcrib {words}' failed").format(words=" ".join(arguments)))
    return round(statistics.median(taken[1:]))


@dataclass(frozen=True, slots=True)
class _Requirement:
    """A requirement of a distribution: the name, the extras it asks for, and the extra that asks for it."""

    name: str
    extras: frozenset[str]
    under: str

    @classmethod
    def parse(cls, text: str) -> _Requirement:
        said, _semicolon, marker = text.partition(";")
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", said)
        assert match is not None, text
        extras = frozenset(extra.strip() for extra in (match[2] or "").split(",") if extra.strip())
        under = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        return cls(_normal(match[1]), extras, under[1] if under else "")


def installed_size(name: str) -> tuple[int, int]:
    """Return how many packages an installation without extras has, itself included, and their bytes on disk.

    What is required for another platform or another Python is not installed, and so not counted.
    """
    sizes: dict[str, int] = {}
    visited: set[tuple[str, frozenset[str]]] = set()
    wanted: list[tuple[str, frozenset[str]]] = [(_normal(name), frozenset())]
    while wanted:
        each = wanted.pop()
        if each in visited:
            continue
        visited.add(each)
        try:
            found = distribution(each[0])
        except PackageNotFoundError:
            continue
        sizes[each[0]] = sum(_bytes(Path(str(file.locate()))) for file in found.files or ())
        needs = [_Requirement.parse(text) for text in found.requires or ()]
        wanted += [(need.name, need.extras) for need in needs if not need.under or need.under in each[1]]
    sizes[_normal(name)] = max(sizes.get(_normal(name), 0), _own_bytes())  # an editable one has no files of its own
    return len(sizes), sum(sizes.values())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _own_bytes() -> int:
    root = Path(__file__).parents[2]
    return sum(_bytes(path) for package in PACKAGES for path in (root / package).rglob("*") if path.is_file())


async def _gateway(runs: int) -> tuple[int, int]:
    """Return the median milliseconds until a gateway is ready, and the median of its memory in MB.

    The first start is on a fresh data directory, the others go on from it.
    """
    from connectors.simulator.factory import Factory
    from gateway.clock import real

    with tempfile.TemporaryDirectory(prefix="toolcrib-") as name:
        directory = Path(name)
        async with Factory([_machine()], clock=real, seed=1, state=directory / "factory") as factory:
            addresses = factory.addresses()
            file = directory / "toolcrib.yaml"
            file.write_text(_lines(_config(addresses)))
            taken = [await asyncio.to_thread(_start_once, file) for _run in range(runs)]
    return round(statistics.median(ms for ms, _mb in taken)), round(statistics.median(mb for _ms, mb in taken))


def _machine() -> MachinePlan:
    """Return a machine of 1,000 tags; each shows another value at every update."""
    from connectors.simulator.machines import ComponentPlan, Level, MachinePlan
    from connectors.simulator.wear import WearLaw

    part = ComponentPlan("part", WearLaw(20_000))
    levels = tuple(Level(f"level-{index}", "mm/s", "part", 1.0, 9.0, 0.1) for index in range(TAGS - 1))
    return MachinePlan("machine", 24.0, (part,), levels, ())  # its thousandth tag says that it runs


def _config(addresses: Addresses) -> dict[str, Any]:
    """Return a small site with the machine."""
    wear = {"by": "level", "tag": "level-0", "as_new": "1 mm/s", "limit": "9 mm/s"}
    machine = {
        "name": "Machine",
        "connection": "hall",
        "tags": addresses.machines["machine"]["tags"],
        "components": {"part": component("Part", wear) | {"rated_life": "20000 h"}},
    }
    connection = {
        "url": addresses.opcua_url,
        "server_certificate": addresses.fingerprint,
        "sampling": "1 s",
    }
    return config_of(connection, {"machine": machine})


def _start_once(file: Path) -> tuple[float, float]:
    """Return the milliseconds from starting a gateway until it says that it is ready, and its memory in MB."""
    before = time.perf_counter()
    with gateway_process(file) as process:
        try:
            control_client.wait_ready(file.parent / "data", READY_S, alive=lambda: process.poll() is None)
        except TimeoutError as error:
            said = file.with_suffix(".log").read_text(errors="replace").strip().splitlines()
            sentence = _("the gateway did not become ready: {last}")
            raise BenchmarkFailed(sentence.format(last=said[-1] if said else "-")) from error
        taken = (time.perf_counter() - before) * 1000
        time.sleep(SETTLE_S)
        return taken, resident_mb(process.pid)


def _lines(value: dict[str, Any]) -> str:
    """Return the config with a line for each tag, as a person would write it."""
    return json.dumps(value, indent=1)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes). Raises `BenchmarkFailed`."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError as error:
        raise BenchmarkFailed(_("the memory of a process can only be measured on Linux")) from error
    match = re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)
    if match is None:
        raise BenchmarkFailed(_("the gateway ended while it was measured"))
    return int(match[1]) * 1024 / 1e6


@contextmanager
def gateway_process(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a gateway as a process of its own while entered; its log lies beside the config."""
    with config.with_suffix(".log").open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command(), "run", str(config)], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
