"""A whole gateway under a steady load: what it loses, its share of a core, how late rules see, what memory it holds.

The gateway is a process of its own, started as a site starts it (`toolcrib run`), with its page, its schedule, its
backlog and its databases; the system tells its processor time and its memory, the gateway what it took and how old each
batch was when rules saw it. The load comes from another process.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from connectors.simulator.load import NAMESPACE, Load
from gateway import control_client
from gateway.benchmarks.load_server import Served, serving
from gateway.benchmarks.small_site import component, config_of
from gateway.benchmarks.startup import READY_S, BenchmarkFailed, gateway_process, resident_mb

WARM_UP_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 3.0
"""What the server sent last is on its way for less than a publishing interval."""
TAGS_PER_MACHINE: Final = 50
_BUCKET: Final = 'toolcrib_intake_lag_seconds_bucket{le="'


def sustain(tags: int, hertz: int, seconds: float) -> dict[str, Any]:
    """Return tags, hz, seconds, values lost, share of a core, 99th percentile in ms, resident memory in MB (10^6).

    Raises `BenchmarkFailed`.
    """
    with serving(Load(per_second=tags * hertz)) as server, tempfile.TemporaryDirectory(prefix="toolcrib-") as name:
        file = Path(name) / "toolcrib.yaml"
        file.write_text(json.dumps(_config(server.url, tags), indent=1))
        with gateway_process(file) as process:
            _wait_ready(file.parent, process)
            time.sleep(WARM_UP_SECONDS)
            before, cpu_s, began = _lags(file.parent), _cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            share = (_cpu_seconds(process.pid) - cpu_s) / (time.monotonic() - began)
            lags, memory_mb = _lags(file.parent), resident_mb(process.pid)
            lost = _lost(server, file.parent)
    return {
        "tags": tags,
        "hz": hertz,
        "seconds": seconds,
        "lost": lost,
        "core_share": round(share, 3),
        "p99_ms": round(_percentile(before, lags, 0.99) * 1000, 1),
        "rss_mb": round(memory_mb),
    }


def _wait_ready(directory: Path, process: Any) -> None:
    try:
        control_client.wait_ready(directory / "data", READY_S, alive=lambda: process.poll() is None)
    except TimeoutError as error:
        raise BenchmarkFailed(_("the gateway did not become ready")) from error


def _lost(server: Served, directory: Path) -> int:
    """Return how many of the values that the server sent the gateway has not taken, beside what is on its way."""
    sent = server.sent
    deadline = time.monotonic() + DRAIN_SECONDS
    taken = 0
    while taken < sent and time.monotonic() < deadline:
        taken = int(control_client.status(directory / "data")["samples"])
    return max(0, sent - taken)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _lags(directory: Path) -> dict[float, float]:
    """Return the bounds in seconds, and how many batches were no older than each."""
    address = control_client.status(directory / "data")["address"]
    with urlopen(f"{address}/metrics", timeout=5) as answer:  # noqa: S310 - our own gateway's page
        lines = answer.read().decode().splitlines()
    told = [line.removeprefix(_BUCKET).partition('"} ') for line in lines if line.startswith(_BUCKET)]
    return {float(bound): float(count) for bound, _quote, count in told}


def _percentile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Return a percentile in seconds, on a straight line within its bucket; the last bound for what lies beyond all."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    whole = counts[float("inf")]
    lower, below = 0.0, 0.0
    for bound, count in sorted(counts.items()):
        if count >= share * whole and bound != float("inf"):
            return lower + (bound - lower) * (share * whole - below) / (count - below) if count > below else bound
        lower, below = (bound, count) if bound != float("inf") else (lower, below)
    return lower


def _config(url: str, tags: int) -> dict[str, Any]:
    """Return a site of machines with fifty tags each, two components reading nine of them."""
    firsts = range(0, tags, TAGS_PER_MACHINE)
    connection = {"url": url, "insecure": True, "sampling": "100 ms"}
    return config_of(connection, {f"m{first}": _machine(first) for first in firsts})


def _machine(first: int) -> dict[str, Any]:
    tags = {
        f"t{place}": {"node": f"nsu={NAMESPACE};s=t{first + place}", "unit": "mm/s" if place == 0 else "1"}
        for place in range(TAGS_PER_MACHINE)
    }
    level = {"by": "level", "tag": "t0", "as_new": "0 mm/s", "limit": "1000000000 mm/s"}
    signals = [f"t{place}" for place in range(1, 9)]
    return {
        "name": f"Machine {first}",
        "connection": "hall",
        "tags": tags,
        "components": {
            "bearing": component("Bearing", level) | {"rated_life": "20000 h"},
            "drive": component("Drive", {"by": "deviation", "tags": signals}),
        },
    }
