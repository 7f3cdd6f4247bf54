"""Commands that run on: the gateway of a site, the demo, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.output import ConfigOption, Failure, JsonOption, find_data, say, say_json

PANEL = "Running"
benchmark_app = typer.Typer(help="What it costs, measured now.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (demo, run, status):
        app.command(rich_help_panel=PANEL)(command)


def run(file: Annotated[Path, typer.Argument(help="The site's config.")]) -> None:
    """Run the gateway of a site until Ctrl-C."""
    from gateway.lean import run_gateway

    raise typer.Exit(run_gateway(str(file)))


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How the running gateway is; exit 0 when it is at work."""
    from gateway import control_client

    found = control_client.status(find_data(config).directory)
    _say_figures(found, as_json)
    if not found.get("ready"):
        raise Failure(_("the gateway is not ready"))


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Without a live view; the demo's person answers.")
    ] = False,
    until: Annotated[
        str | None, typer.Option("--until", help="End once an order is in this state, such as received.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
    replay: Annotated[
        Path | None, typer.Option("--replay", help="Play recorded machines from this directory instead.")
    ] = None,
    units: Annotated[str | None, typer.Option("--units", help="Which recorded machines, such as 1-20.")] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the page; 0 takes any.")] = 8080,
    directory: Annotated[
        Path, typer.Option("--directory", help="Where its data is; a second demo goes on from there.")
    ] = Path("data/demo"),
    seed: Annotated[int, typer.Option("--seed", help="Of everything that is left to chance.")] = 1,
) -> None:
    """Run a simulated factory, a simulated market and the gateway between them."""
    from gateway.demo import run as run_demo
    from gateway.options import DemoOptions

    options = DemoOptions(
        headless=headless,
        until=until,
        json=as_json,
        replay=replay,
        units=units,
        port=port,
        directory=directory,
        seed=seed,
    )
    raise typer.Exit(run_demo(options))


@benchmark_app.command("startup")
def startup(
    as_json: JsonOption = False,
    runs: Annotated[int, typer.Option("--runs", min=1, max=50, help="Of which the median counts.")] = 5,
) -> None:
    """Measure start, memory and size: of the commands, and of a gateway with 1,000 tags."""
    from gateway.benchmarks.startup import BenchmarkFailed, measure_startup

    try:
        found = measure_startup(runs)
    except BenchmarkFailed as error:
        raise Failure(str(error)) from error
    _say_figures(found, as_json)


@benchmark_app.command("opcua")
def opcua(
    as_json: JsonOption = False,
    runs: Annotated[int, typer.Option("--runs", min=1, max=50, help="Of which the median counts.")] = 5,
) -> None:
    """Measure OPC-UA: values a second of processor time into batches, over the library's own handler."""
    from gateway.benchmarks.opcua import measure

    _say_figures(measure(runs), as_json)


@benchmark_app.command("modbus")
def modbus(
    as_json: JsonOption = False,
    runs: Annotated[int, typer.Option("--runs", min=1, max=50, help="Of which the median counts.")] = 5,
) -> None:
    """Measure Modbus: registers a second of processor time over pymodbus's loop, and what a dead unit costs others."""
    from gateway.benchmarks.modbus import measure
    from gateway.logs import quiet

    quiet()
    _say_figures(measure(runs), as_json)


@benchmark_app.command("pipeline")
def pipeline(
    as_json: JsonOption = False,
    runs: Annotated[int, typer.Option("--runs", min=1, max=50, help="Of which the median counts.")] = 3,
    seconds: Annotated[float, typer.Option("--seconds", min=5, max=86_400, help="Of steady load.")] = 60.0,
) -> None:
    """Measure the way from the wire to the rules: cost of a value, and a whole gateway under a steady load."""
    from gateway.benchmarks.pipeline import measure
    from gateway.benchmarks.startup import BenchmarkFailed

    try:
        found = measure(runs, seconds)
    except BenchmarkFailed as error:
        raise Failure(str(error)) from error
    _say_figures(found, as_json)


DataOption = Annotated[Path, typer.Option("--data", exists=True, file_okay=False, help="Holds NASA's C-MAPSS files.")]
SubsetOption = Annotated[str, typer.Option("--subset", help="FD001 to FD004.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of folds, peers, draws and resamples.")]


@benchmark_app.command("ordering")
def ordering(
    data: DataOption,
    subset: SubsetOption = "FD001",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    told: Annotated[
        Path | None, typer.Option("--decisions", dir_okay=False, help="Write when each was bought.")
    ] = None,
) -> None:
    """Measure what it costs to buy for engines, over one who knows when each fails.

    cost_ratio: cost per cycle over that of perfect foresight, mean over five ways to make five folds, with all lives of
    the other folds to learn from; interval: of 95 %, a paired bootstrap over engines; failures: before the new part was
    in. no_history: the same where nobody has seen an engine fail; rating_changes: of that, by a rating that is wrong.
    """
    from connectors.simulator.errors import SimulatorError
    from gateway.benchmarks import engines, ordering

    try:
        found, courses = ordering.measure(data, subset, seed)
        units = sorted(engines.engines_of(data, subset)) if told else []
    except SimulatorError as error:
        raise Failure(str(error)) from error
    if told:
        told.write_text(json.dumps(ordering.decisions(units, courses)) + "\n", encoding="utf-8")
    _say_figures(found, as_json)


@benchmark_app.command("learning")
def learning(
    data: DataOption,
    subset: SubsetOption = "FD001",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    draws: Annotated[int, typer.Option("--draws", min=2, max=200, help="Of the lives that are learned from.")] = 12,
) -> None:
    """Measure how the cost of buying falls as lives are seen to end: 0, 2, 5, 10 and 50 of them."""
    from connectors.simulator.errors import SimulatorError
    from gateway.benchmarks.learning import measure

    try:
        found = measure(data, subset, seed, draws)
    except SimulatorError as error:
        raise Failure(str(error)) from error
    _say_figures(found, as_json)


@benchmark_app.command("prognosis")
def prognosis(
    data: DataOption, subset: SubsetOption = "FD001", seed: SeedOption = 0, as_json: JsonOption = False
) -> None:
    """Measure how well what is left is told of test engines, cut off before their end, by all training lives."""
    from connectors.simulator.errors import SimulatorError
    from gateway.benchmarks.prognosis import measure

    try:
        found = measure(data, subset, seed)
    except SimulatorError as error:
        raise Failure(str(error)) from error
    _say_figures(found, as_json)


@benchmark_app.command("toolwear")
def toolwear(
    data: Annotated[Path, typer.Option("--data", exists=True, file_okay=False, help="Holds Vicomtech's tool wear.")],
    as_json: JsonOption = False,
) -> None:
    """Measure how well a cutting tool's wear is told from its controller's signals, by a model of other tools.

    mae_um: mean absolute error over all seconds of all tools, each left out in turn, in micrometres; coverage_90: the
    share of seconds whose wear is within the interval said to hold nine in ten; known: those that were not doubted.
    """
    from connectors.simulator.errors import SimulatorError
    from gateway.benchmarks.toolwear import measure

    try:
        found = measure(data)
    except (SimulatorError, ValueError) as error:
        raise Failure(str(error)) from error
    _say_figures(found, as_json)


@benchmark_app.command("regret")
def regret(
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = 0,
    slots: Annotated[int, typer.Option("--slots", min=0, max=100_000, help="Of each class; 0 for the usual.")] = 0,
    history: Annotated[int, typer.Option("--history", min=0, max=1_000, help="Earlier parts of a class.")] = 20,
    unit_spread: Annotated[float, typer.Option("--unit-spread", min=0.01, max=1, help="Of wear rates.")] = 0.25,
    chance: Annotated[float, typer.Option("--chance", min=0.01, max=1, help="In a part's wear.")] = 0.10,
    limit_spread: Annotated[float, typer.Option("--limit-spread", min=0, max=0.3, help="Of failure levels.")] = 0.04,
    noise: Annotated[float, typer.Option("--noise", min=0, max=0.5, help="Of a reading.")] = 0.03,
    lead_spread: Annotated[float, typer.Option("--lead-spread", min=0, max=1, help="Of lead times.")] = 0.35,
    as_json: JsonOption = False,
) -> None:
    """Measure what buying filters, bearings and spindles for simulated plants costs over one who knew.

    By class: mean cost a day of use over that of a buyer who knows failures and lead times, minus 1; interval: of 95 %;
    knowing_prices, just_in_time: against one who also knows prices, and one who never waits for a better price;
    timing: what a gateway decides by itself, which sees no price before it asks and sends one order at a time;
    no_history: where no earlier part was watched.
    """
    from gateway.benchmarks.regret import SLOTS, measure
    from gateway.benchmarks.wearing_plant import Plant

    plant = Plant(unit_spread, chance, limit_spread, noise, lead_spread)
    _say_figures(measure(seed, dict.fromkeys(SLOTS, slots) if slots else SLOTS, plant, history), as_json)


@benchmark_app.command("reconnect")
def reconnect(
    as_json: JsonOption = False,
    restarts: Annotated[int, typer.Option("--restarts", min=1, max=100_000, help="Of the machine's server.")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Of how long each outage lasts.")] = 7,
) -> None:
    """Measure how soon a machine is heard again after its server was restarted; exit 1 unless it always is."""
    from gateway.benchmarks.reconnect import measure
    from gateway.logs import quiet

    quiet()
    found = measure(restarts, seed)
    _say_figures(found, as_json)
    if found["recovered"] < restarts:
        raise typer.Exit(1)


def _say_figures(found: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    for key, value in found.items():
        say(f"{key}: {value}")


@benchmark_app.command("audit")
def audit(
    as_json: JsonOption = False,
    purchases: Annotated[int, typer.Option("--purchases", min=1, max=10_000, help="Of which the median counts.")] = 100,
    entries: Annotated[
        int, typer.Option("--entries", min=1_000, max=50_000_000, help="In the log that is verified.")
    ] = 500_000,
) -> None:
    """Measure the audit log: its share of a purchase, and verification; exit 1 unless what was measured verifies.

    append_share: time in building, hashing and writing entries (waiting for the database included) over the wall time
    of a purchase, from the need to the confirmed order, from a supplier in this process that answers at once; median.
    verified_per_second: entries read from a database file, hashed, and held against tree and signed checkpoint; median.
    """
    from gateway.benchmarks.audit import LogBroken, measure_audit

    try:
        found = measure_audit(purchases, entries)
    except LogBroken as error:
        raise Failure(_("what was measured does not verify: {reason}").format(reason=error)) from error
    _say_figures(found, as_json)


@benchmark_app.command("ledger")
def ledger(
    as_json: JsonOption = False,
    orders: Annotated[int, typer.Option("--orders", min=100, max=1_000_000, help="How many are reserved.")] = 3_000,
) -> None:
    """Measure durable reservations of eight callers at once, and that not one of them is over a limit."""
    from gateway.benchmarks.ledger import measure

    found = measure(orders)
    _say_figures(found, as_json)
    if found["overspent"]:
        raise typer.Exit(1)
