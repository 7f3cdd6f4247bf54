"""Commands that serve a simulated factory or market alone, for integrators and for the demo.

They print where everything is, run until Ctrl-C or SIGTERM, save, and leave.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict, replace
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from gateway.commands.output import MISTAKE, Failure, JsonOption, say, say_json

if TYPE_CHECKING:
    from connectors.simulator.modelled import ModelledPlan
    from gateway.clock import Clock

app = typer.Typer(help="A simulated factory or market, alone.", no_args_is_help=True, rich_markup_mode=None)

SeedOption = Annotated[int, typer.Option("--seed", help="Of everything that is left to chance.")]
HostOption = Annotated[str, typer.Option("--host", help="The address to listen on.")]
ClockOption = Annotated[str | None, typer.Option("--clock", hidden=True, help="ORIGIN,WALL_START,SPEED")]
AdvertiseOption = Annotated[
    str | None, typer.Option("--advertise", help="The host name that others use, where it is not --host.")
]
TellOption = Annotated[Path | None, typer.Option("--tell", help="Write where everything is to this file, too.")]
SpeedOption = Annotated[
    float, typer.Option("--speed", min=0.001, help="How many times faster than the wall time runs.")
]


def clock_of(text: str | None, speed: float) -> Clock:
    """Return the clock that a command names: a text from another process, or now at a speed. Raises `Failure`."""
    import time

    from gateway.clock import PlantClock, real

    if text is None:
        return real if speed == 1.0 else PlantClock(real(), time.time(), speed)
    try:
        return PlantClock.from_text(text)
    except ValueError as error:
        raise Failure(
            _("{text} is no clock: ORIGIN,WALL_START,SPEED").format(text=repr(text)), exit_code=MISTAKE
        ) from error


def serve(work: Coroutine[Any, Any, None]) -> None:
    """Run until Ctrl-C or SIGTERM, and let the work end itself. Raises `Failure` where it cannot be served."""
    import asyncio

    from connectors.simulator.errors import SimulatorError
    from gateway.logs import quiet

    quiet()
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(_until_stopped(work))
    except SimulatorError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(_("cannot serve: {reason}").format(reason=error.strerror or error)) from error


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    import asyncio
    import signal

    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, task.cancel)
    await task


@app.command("factory")
def factory(
    seed: SeedOption = 1,
    state: Annotated[Path, typer.Option("--state", help="Where wear and certificate are kept.")] = Path("data/factory"),
    host: HostOption = "127.0.0.1",
    opcua_port: Annotated[int, typer.Option("--opcua-port", min=0, max=65535)] = 4840,
    modbus_port: Annotated[int, typer.Option("--modbus-port", min=0, max=65535)] = 5020,
    advertise: AdvertiseOption = None,
    tell: TellOption = None,
    speed: SpeedOption = 1.0,
    clock: ClockOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve four machines that wear, over OPC-UA and Modbus TCP."""
    from connectors.simulator.factory import Addresses, serve_factory
    from connectors.simulator.machines import shopfloor

    def ready(addresses: Addresses) -> None:
        if advertise is not None:
            url = f"opc.tcp://{advertise}:{urlsplit(addresses.opcua_url).port}/"
            addresses = replace(addresses, opcua_url=url, modbus_host=advertise)
        if tell is not None:
            _tell(tell, addresses.as_json())
        if as_json:
            say(addresses.as_json())
            return
        _say_opcua(addresses.opcua_url, addresses.fingerprint)
        say(_("Modbus: {host}:{port}").format(host=addresses.modbus_host, port=addresses.modbus_port))
        for machine, device in addresses.device_ids.items():
            say(_("  {machine}: device id {device}").format(machine=machine, device=device))

    serve(
        serve_factory(
            shopfloor(),
            clock=clock_of(clock, speed),
            seed=seed,
            state=state,
            ready=ready,
            host=host,
            opcua_port=opcua_port,
            modbus_port=modbus_port,
        )
    )


@app.command("machine")
def machine(
    model: Annotated[
        list[str] | None, typer.Option("--model", help="machinery, machine-tool or device; may be given often.")
    ] = None,
    nodes: Annotated[
        int, typer.Option("--nodes", min=0, max=200_000, help="How many further variables it has below 'Plant'.")
    ] = 0,
    seed: SeedOption = 1,
    state: Annotated[Path, typer.Option("--state", help="Where certificate and control are.")] = Path("data/machine"),
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 4840,
    insecure: Annotated[bool, typer.Option("--insecure", help="Also take clients without encryption.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Remember values and answer HistoryRead.")] = False,
    vibration: Annotated[
        bool, typer.Option("--vibration", help="Also a pump that sends raw windows of its bearing, which wears.")
    ] = False,
    tell: TellOption = None,
    speed: SpeedOption = 1.0,
    clock: ClockOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve machines in the shape of a companion specification over OPC-UA, faults on demand."""
    from connectors.simulator.machine_control import MachineReady, serve_machine

    plans = _plans(model or [], vibration)

    def ready(found: MachineReady) -> None:
        if tell is not None:
            _tell(tell, json.dumps(asdict(found)))
        if as_json:
            say_json(asdict(found))
            return
        _say_opcua(found.url, found.fingerprint)
        for plan in plans:
            _say_listening(plan)

    serve(
        serve_machine(
            plans,
            clock=clock_of(clock, speed),
            state=state,
            ready=ready,
            seed=seed,
            host=host,
            port=port,
            tags=nodes,
            is_open=insecure,
            history=history,
        )
    )


@app.command("market")
def market(
    seed: SeedOption = 1,
    state: Annotated[Path, typer.Option("--state", help="Where orders and tokens are kept.")] = Path("data/market"),
    host: HostOption = "127.0.0.1",
    port: Annotated[
        list[str] | None, typer.Option("--port", help="SUPPLIER=PORT; may be given often. Any port if left out.")
    ] = None,
    advertise: AdvertiseOption = None,
    tell: TellOption = None,
    speed: SpeedOption = 1.0,
    clock: ClockOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve three suppliers with prices, stock, lead times and habits of their own, over HTTP."""
    from marketplace.suppliers.simulator.market import MarketReady, serve_market

    def ready(found: MarketReady) -> None:
        addresses = {name: _advertised(address, advertise) for name, address in found.addresses.items()}
        facts = {"addresses": addresses, "tokens": {name: str(path) for name, path in found.tokens.items()}}
        if tell is not None:
            _tell(tell, json.dumps(facts))
        if as_json:
            say_json(facts)
            return
        for name, address in addresses.items():
            say(_("{name}: {address}").format(name=name, address=address))
            if name in found.tokens:
                say(_("  token: in {path}").format(path=found.tokens[name]))

    serve(
        serve_market(state, clock=clock_of(clock, speed), ready=ready, seed=seed, host=host, ports=_ports(port or []))
    )


@app.command("site")
def site(
    file: Annotated[Path, typer.Argument(help="The config to write; an existing one stays as it is.")],
    factory: Annotated[Path, typer.Option("--factory", help="What 'simulate factory --tell' wrote.")],
    market: Annotated[Path, typer.Option("--market", help="What 'simulate market --tell' wrote.")],
    public_url: Annotated[str | None, typer.Option("--public-url", help="How browsers reach the page.")] = None,
    trusted_proxy: Annotated[
        str | None, typer.Option("--trusted-proxy", help="Who hands the page on to browsers, such as 172.28.7.1.")
    ] = None,
) -> None:
    """Write a config for a gateway beside a simulated factory and market."""
    from gateway.simulated_site import SiteFailed, write_site

    try:
        write_site(file, factory, market, public_url=public_url, trusted_proxy=trusted_proxy)
    except SiteFailed as error:
        raise Failure(str(error)) from error
    say(_("{path} is there").format(path=file))


def _plans(models: list[str], vibration: bool) -> list[ModelledPlan]:
    """Return the machines that are served. Raises `Failure` for a shape that nobody knows."""
    from connectors.simulator.modelled import PLANS, PUMP, Model

    try:
        plans = [PLANS[Model(each)] for each in models or [Model.MACHINERY]]
    except ValueError as error:
        known = ", ".join(Model)
        raise Failure(_("{error}; there are {known}").format(error=error, known=known), exit_code=MISTAKE) from error
    return [*plans, PUMP] if vibration else plans


def _say_opcua(url: str, fingerprint: str) -> None:
    say(_("OPC-UA: {url}").format(url=url))
    say(_("  server certificate: {fingerprint}").format(fingerprint=fingerprint))


def _say_listening(plan: ModelledPlan) -> None:
    """Say by which tags and features a config would listen to a machine that can be listened to."""
    from connectors.simulator.modelled import listening_config

    sections = listening_config(plan)
    if sections:
        say(_("below the machine in a config:"))
    for section, said in sections.items():
        say(f"  {section}: {json.dumps(said)}")


def _advertised(address: str, host: str | None) -> str:
    return address if host is None else f"http://{host}:{urlsplit(address).port}"


def _tell(path: Path, text: str) -> None:
    """Write a file whole or not at all: whoever waits for it finds all of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _ports(named: list[str]) -> dict[str, int]:
    found = {}
    for each in named:
        supplier, equals, number = each.partition("=")
        if not equals or not number.isdigit() or int(number) > 65535:
            raise Failure(_("{text} is not SUPPLIER=PORT").format(text=repr(each)), exit_code=MISTAKE)
        found[supplier] = int(number)
    return found
