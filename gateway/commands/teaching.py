"""The command by which measured parts teach how wear is told from signals. It reads telemetry and writes one file."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.output import (
    MISTAKE,
    ConfigOption,
    Failure,
    JsonOption,
    load_config,
    say,
    say_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.config import Config
    from maintenance.estimates import Estimate
    from maintenance.wear_lives import Measured, Said


def learn(
    component: Annotated[str, typer.Argument(help="Whose wear is estimated.", metavar="MACHINE/COMPONENT")],
    measured: Annotated[
        Path, typer.Option("--measured", help="CSV with part, time and wear; the first row of a part is its fitting.")
    ],
    telemetry: Annotated[
        list[Path] | None,
        typer.Option("--telemetry", help="Files or folders, as for 'backtest', instead of what was heard."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from measured parts how worn one is, and write what was learned to the file that the config names."""
    from gateway.durable import write_durably
    from gateway.learning.wear import WearFileBroken, read_measured
    from maintenance.wear_estimate import NINETY
    from maintenance.wear_file import written
    from maintenance.wear_lives import LifeUnusable, life_of, teach

    site = load_config(config)
    key, use = _estimate(site, component)
    file = site.base / site.estimates[key].model
    try:
        parts = read_measured(measured, site.zone)
        said = _said(site, use, parts, telemetry)
        lives = []
        for part, rows in parts.items():
            try:
                lives.append(life_of(use, said[part], rows))
            except LifeUnusable as error:
                raise Failure(
                    _("the part {part} {reason}").format(part=part, reason=error), exit_code=MISTAKE
                ) from error
        taught = teach(use, lives)
        write_durably(file, written(use, taught).encode())
    except (WearFileBroken, ValueError) as error:
        raise Failure(str(error), exit_code=MISTAKE) from error
    except OSError as error:
        raise Failure(_("{path}: {reason}").format(path=error.filename or file, reason=error.strerror)) from error
    wear = max(float(life.wear.max()) for life in lives)
    off = [NINETY * taught.model.deviation(each, 0.0) for each in (0.0, wear)]
    facts = {
        "model": str(file),
        "version": taught.version,
        "parts": len(lives),
        "rows": sum(len(life.wear) for life in lives),
        "unit": use.unit,
        "off_when_new": round(off[0], 3),
        "off_when_worn": round(off[1], 3),
    }
    if as_json:
        say_json(facts)
        return
    say(_("wrote {model}, learned from {parts} parts ({rows} rows)").format(**facts))
    sentence = _(
        "nine times in ten it was off by less than {off_when_new} {unit} on new parts, {off_when_worn} on worn"
    )
    say(sentence.format(**facts) + _(", judged by parts that it had not seen"))
    say(_("next: 'toolcrib reload', or start the gateway"))


def _estimate(site: Config, component: str) -> tuple[str, Estimate]:
    for key, use in site.estimated.items():
        if use.component == component:
            return key, use
    known = ", ".join(sorted(use.component for use in site.estimated.values())) or _("none")
    sentence = _("the wear of {component} is not estimated by the config; it is of: {known}")
    raise Failure(sentence.format(component=component, known=known), exit_code=MISTAKE)


def _said(
    site: Config, use: Estimate, parts: Mapping[str, Sequence[Measured]], files: Sequence[Path] | None
) -> dict[str, list[Said]]:
    """Return what was heard while each part worked."""
    from gateway.learning.wear import listened, said_of
    from gateway.recordings import reading
    from gateway.recordings.tables import Read

    if not parts:
        return {}
    tags, read = {tag.key for tag in (*use.signals, *use.clocks)}, Read()
    heard = reading.batches(files or [site.directory], tags, site.zone, read, *listened(parts))
    return said_of(heard, use, parts, read)
