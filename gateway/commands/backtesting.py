"""Commands that say what would have been bought: over recorded telemetry, and by a gateway that is a shadow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.output import (
    MISTAKE,
    ConfigOption,
    Failure,
    JsonOption,
    complain,
    databases,
    load_config,
    say,
    say_json,
    say_table,
    wait_for,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from gateway.backtest.playing import Plant, Playing
    from gateway.backtest.report import Findings, Purchase
    from gateway.backtest.wouldbe import WatchedLife
    from gateway.config import Config
    from gateway.recordings.tables import Read
    from gateway.views.learning import KindView
    from maintenance.assets import Life

PANEL = "Looking"
SHOWN_MAX = 200
"""Purchases that are shown one by one at a terminal; '--json' has them all."""


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (backtest, shadow):
        app.command(rich_help_panel=PANEL)(command)


ConfigArgument = Annotated[Path, typer.Argument(help="The site's config.")]
TelemetryOption = Annotated[
    Path,
    typer.Option(
        "--telemetry",
        exists=True,
        help="A CSV file, a folder of them, or a gateway's data folder; read, never written.",
    ),
]
OrdersOption = Annotated[
    Path | None,
    typer.Option(
        "--orders",
        exists=True,
        dir_okay=False,
        help="What was really bought: time, component, event[, cost, supplier].",
    ),
]
FromOption = Annotated[str | None, typer.Option("--from", help="Since when, such as 2026-01-01.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Until before when.")]
StepOption = Annotated[
    str | None, typer.Option("--step", help="Decide as often as this, such as '1 d', instead of 'timing.step'.")
]
NewOption = Annotated[bool, typer.Option("--new", help="Every part was new when the telemetry begins.")]
ResetsOption = Annotated[
    bool, typer.Option("--resets-are-failures", help="A counter reset tells of a failure, not of a replacement.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the draws behind the intervals.")]


def backtest(
    file: ConfigArgument,
    telemetry: TelemetryOption,
    orders: OrdersOption = None,
    since: FromOption = None,
    until: ToOption = None,
    step: StepOption = None,
    new: NewOption = False,
    resets_fail: ResetsOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """What would have been bought over recorded telemetry, what it would have cost, and what it would have saved.

    Nothing is bought, no supplier and no machine is asked. Rows of --orders have the columns time, component, event
    (ordered, received, fitted, failed) and perhaps cost and supplier. Ctrl-C ends it with what was found so far.
    """
    from gateway import i18n
    from gateway.backtest.plant_orders import OrdersBroken, read_orders
    from gateway.backtest.playing import Playing
    from gateway.backtest.report import findings
    from gateway.plants import cases_of, plant_of
    from gateway.recordings.tables import Read, TelemetryBroken

    site = load_config(file)
    i18n.activate(site.site.language)
    plant = plant_of(site, _span(step))
    begin, end = _moment(since, site.zone), _moment(until, site.zone)
    try:
        currencies = {
            key: "" if each.buying is None else each.buying.price.currency for key, each in site.components.items()
        }
        events = [] if orders is None else read_orders(orders, site.zone, currencies)
        run, read = Playing(plant, events, new=new, resets_fail=resets_fail), Read()
        _play(run, read, telemetry, plant, site, begin, end)
    except (TelemetryBroken, OrdersBroken) as error:
        raise Failure(str(error), exit_code=MISTAKE) from error
    except OSError as error:
        raise Failure(
            _("{path} cannot be read: {reason}").format(path=error.filename, reason=error.strerror)
        ) from error
    found = findings(run.played.ended, run.played.open.values(), cases_of(plant), told=orders is not None, seed=seed)
    if as_json:
        say_json(_document(run, read, found))
    else:
        _say(run, read, found, site)


def shadow(config: ConfigOption = None, seed: SeedOption = 0, as_json: JsonOption = False) -> None:
    """What a gateway that is a shadow would have bought, and what that would have saved against what happened.

    A life counts once its end is known: 'toolcrib fitted' says when a part was changed, and whether it had failed.
    """
    from gateway import i18n
    from gateway.plants import cases_of, plant_of
    from gateway.shadow import Seen

    site = load_config(config)
    i18n.activate(site.site.language)
    kept, lives = wait_for(_shadowed(site))
    found = Seen(kept, cases_of(plant_of(site))).found(lives, seed)
    if as_json:
        say_json({"shadow": site.file.shadow, **found.as_dict()})
        return
    if not site.file.shadow:
        say(_("This gateway buys; what follows was kept while 'shadow: true' stood in its config."))
    else:
        say(_("This gateway is a shadow: nothing is bought, and nobody is asked."))
    say_findings(found, site)


async def _shadowed(site: Config) -> tuple[list[WatchedLife], list[Life]]:
    from gateway.shadow import FILE, read
    from maintenance import store

    async with databases(site.directory) as opened, opened.spend.read() as tx:
        lives = await store.lives(tx, site.owner)
    try:
        return list(read(site.directory / FILE)[0].values()), lives
    except OSError as error:
        raise Failure(
            _("{path} cannot be read: {reason}").format(path=error.filename, reason=error.strerror)
        ) from error


def _unreadable(error: OSError) -> Failure:
    return Failure(_("{path} cannot be read: {reason}").format(path=error.filename, reason=error.strerror))


def _play(
    run: Playing,
    read: Read,
    telemetry: Path,
    plant: Plant,
    site: Config,
    since: datetime | None,
    until: datetime | None,
) -> None:
    from gateway.recordings import reading

    heard = reading.batches([telemetry], {*site.tags, *site.features}, site.zone, read, since, until)
    with _progress(read) as show, closing(heard):
        try:
            run.play(heard, since, until, show)
        except KeyboardInterrupt:
            complain(_("Ended by hand; this is what was found so far."))


@contextmanager
def _progress(read: Read) -> Iterator[Callable[[], None]]:
    """Show how much has been read, on stderr; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(_("Telemetry played"), total=1.0)
        yield lambda: bar.update(task, completed=read.share)


def _span(text: str | None) -> timedelta | None:
    from marketplace.settings import duration

    try:
        found = None if text is None else duration(text)
    except ValueError as error:
        raise Failure(f"--step: {error}", exit_code=MISTAKE) from error
    if found is not None and found < timedelta(minutes=1):
        raise Failure(_("--step: decide no more often than every minute"), exit_code=MISTAKE)
    return found


def _moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    from gateway.backtest.plant_orders import moment

    try:
        return None if text is None else moment(text, zone)
    except ValueError as error:
        raise Failure(str(error), exit_code=MISTAKE) from error


def _document(run: Playing, read: Read, found: Findings) -> dict[str, Any]:
    played = run.played
    times = {name: None if at is None else at.isoformat() for name, at in (("from", played.begin), ("to", played.end))}
    told = {
        "values": played.values,
        "bad": read.bad,
        "late": read.late,
        "named": read.named,
        "ignored": list(read.ignored),
    }
    learned = [each.as_dict() for each in _learned(run)]
    facts = {"complete": played.whole, "decisions": played.decisions, "learning": learned}
    return {**times, **facts, **found.as_dict(), "telemetry": told}


def _learned(run: Playing) -> list[KindView]:
    """Return how far each kind has come by what was played."""
    from gateway.views.learning import KindView

    if run.played.begin is None:
        return []
    return [KindView(kind, run.school.components(kind), each) for kind, each in run.school.standings().items()]


def _say(run: Playing, read: Read, found: Findings, site: Config) -> None:
    from gateway import i18n

    played = run.played
    if played.begin is None or played.end is None:
        say(_("There is no telemetry in that time."))
    else:
        text = _(
            "Played {values} values from {begin} to {end}; decided {count} times. Nothing was bought, nobody asked."
        )
        begin, end = i18n.when(played.begin, site.zone), i18n.when(played.end, site.zone)
        say(text.format(values=played.values, begin=begin, end=end, count=played.decisions))
    for kind in _learned(run):
        if kind.since is not None:
            text = _("{kind} is {phase} since {day}: {reason}")
            day = i18n.when(kind.since, site.zone)
            say(text.format(kind=kind.kind.name, phase=kind.standing.phase.value, day=day, reason=kind.reason))
    for sentence in site.untold:
        say(sentence)
    say_findings(found, site)
    if not found.comparisons:
        say(_("Say with --orders what was fitted and what failed, or with --new that parts were new at the beginning."))
    if read.bad or read.late:
        text = _("{bad} rows or values could not be understood and {late} came late; they are left out. The first:")
        say(text.format(bad=read.bad, late=read.late))
        for each in read.named[:5]:
            say(f"  {each}")
    if read.ignored:
        say(_("Not in the config, hence ignored: {names}").format(names=", ".join(read.ignored)))


def say_findings(found: Findings, site: Config) -> None:
    """Write purchases and comparisons for people."""
    from gateway.views.findings import compared

    columns = (_("component"), _("wants"), _("when"), _("decide by"), _("there"), _("fitted"), _("then"), _("cost"))
    rows = [_row(each, site) for each in found.purchases[:SHOWN_MAX]]
    say_table(columns, rows, nothing=_("Nothing would have been bought."), right=(7,))
    if len(found.purchases) > SHOWN_MAX:
        say(_("and {count} more; --json has them all").format(count=len(found.purchases) - SHOWN_MAX))
    for sentence in _reasons(found.purchases, site.zone):
        say(sentence)
    say("")
    told = _(
        "Lives that ended: {lives}, by a failure: {failed}; of unknown beginning and not counted: {uncounted}; "
        "open: {open}."
    )
    say(told.format(lives=found.lives, failed=found.failed, uncounted=found.uncounted, open=found.open))
    for each in found.comparisons:
        say(compared(each))
    if not found.comparisons:
        say(_("What would have been saved cannot be said: no life is known from its beginning to its end."))
    for currency, spent in found.spent.items():
        say(_("The parts would have cost {amount}.").format(amount=f"{spent:.2f} {currency}"))


def _row(each: Purchase, site: Config) -> tuple[str, ...]:
    from gateway import i18n
    from gateway.backtest.wouldbe import wanted

    def day(moment: datetime | None) -> str:
        return "-" if moment is None else i18n.when(moment, site.zone)

    if each.ended is None:
        then = _("goes on")
    elif not each.failed:
        then = _("replaced {day}").format(day=day(each.ended))
    else:
        then = _("failed {day}").format(day=day(each.ended))
    when = _("{day} (asks)").format(day=day(each.at)) if each.asks else day(each.at)
    cost = f"{each.price:.2f} {each.currency}".strip()
    return each.component, wanted(each.lines), when, day(each.decide_by), day(each.there), day(each.fitted), then, cost


def _reasons(purchases: Sequence[Purchase], zone: ZoneInfo) -> Iterator[str]:
    """Yield why each was bought, in a sentence."""
    from gateway import i18n
    from marketplace.sentences import sentence

    for each in purchases[:SHOWN_MAX]:
        why = sentence(each.code, i18n.figures(each.parameters, zone))
        yield f"{each.component}, {i18n.when(each.at, zone)}: {why}"
