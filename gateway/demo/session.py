"""One run of the demo: with a live view until Ctrl-C, or headless, where the demo's person answers what waits."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from contextlib import suppress
from gettext import gettext as _

from gateway import control_client
from gateway.demo import plant
from gateway.demo.glance import Glancer
from gateway.demo.processes import ChildFailed
from gateway.demo.report import Report, is_whole, report
from gateway.demo.running import open_plant, remember
from gateway.options import DemoOptions
from gateway.storage import StorageBroken

LOOK_S = 0.3
UNTIL_S = 110.0
"""Wall time after which a headless demo that has not come to its end has failed."""


class DemoFailed(Exception):
    """The demo did not come to its end; `str()` says why."""


async def headless(options: DemoOptions) -> Report:
    """Run without a view until orders have come as far as `options.until`, or for ever. Raises `DemoFailed`."""
    stop = _stop_signal()
    began = time.monotonic()
    async with open_plant(options) as running:
        while not stop.is_set():
            running.check()
            await running.answer()
            remember(options.directory.absolute(), running.clock)
            if options.until and await running.heard() and is_whole(await running.orders(), options.until):
                break
            if options.until and time.monotonic() - began > UNTIL_S:
                sentence = _("no order came as far as {state} in {seconds:.0f} s; see {directory}")
                raise DemoFailed(sentence.format(state=options.until, seconds=UNTIL_S, directory=options.directory))
            await _wait(stop)
        return await report(running.databases, running.config.owner)


async def watched(options: DemoOptions) -> Report:
    """Run with the live view until Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    stop = _stop_signal()
    console = Console()
    console.print("Starting the factory, the market and the gateway ...", style="dim")
    async with open_plant(options) as running:
        glancer = Glancer(running)
        link = await asyncio.to_thread(control_client.sign_in, running.config.directory, plant.PERSON)
        with Live(console=console, auto_refresh=False, screen=False) as live:
            while not stop.is_set():
                running.check()
                live.update(await glancer.look(link["link"]), refresh=True)
                remember(options.directory.absolute(), running.clock)
                await _wait(stop)
        return await report(running.databases, running.config.owner)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    return stop


async def _wait(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await stop.wait()


def run(options: DemoOptions) -> int:
    """Run the demo and return its exit code; with `json` its report is the last line."""
    began = time.monotonic()
    try:
        done = asyncio.run(headless(options) if options.headless else watched(options))
    except (ChildFailed, DemoFailed, StorageBroken, control_client.Refused) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps(done.as_dict(time.monotonic() - began)) + "\n")
    return 0 if done.audit.verified else 1
