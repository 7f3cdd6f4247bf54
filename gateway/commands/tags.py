"""Commands for lists of tags: from a table into the config, and out of it."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.output import MISTAKE, ConfigOption, Failure, JsonOption, complain, load_config, say, say_json

if TYPE_CHECKING:
    from gateway.tag_lists.tag_list import Change

app = typer.Typer(help="Lists of tags in CSV or XLSX.", no_args_is_help=True, rich_markup_mode=None)

SHOWN = 20
"""Tags of a difference that are listed; the rest is a number."""
TableArgument = Annotated[Path, typer.Argument(help="A table: .csv or .xlsx; its first row names the columns.")]


@app.command("import")
def import_tags(
    file: TableArgument,
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take out the tags of the table's machines that it does not name.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put the tags of a table into the config, all of them or, with any mistake, none.

    A running gateway reads them after 'toolcrib reload'.
    """
    from gateway.tag_lists.table import TableBroken, read_table
    from gateway.tag_lists.tag_list import judge

    site = load_config(config)
    try:
        table = read_table(file)
    except (TableBroken, OSError) as error:
        raise Failure(str(error), exit_code=MISTAKE) from error
    change, mistakes = judge(table, site, replace=replace)
    if not mistakes and not dry_run and not change.is_empty:
        _write(site.path, change)
    if as_json:
        told = [{"row": each.row, "column": each.column, "message": each.message} for each in mistakes]
        written = not (mistakes or dry_run or change.is_empty)
        say_json({**change.counts(), "mistakes": told, "written": written})
    else:
        for each in mistakes:
            complain(each.told(table.name))
        _tell(change, written=not mistakes and not dry_run)
    if mistakes:
        if not as_json:
            complain(_("{count} mistakes; nothing was imported").format(count=len(mistakes)))
        raise typer.Exit(MISTAKE)


def _write(path: Path, change: Change) -> None:
    from gateway.config_edit import edited, flow, replace
    from gateway.yaml_file import Mistakes

    def edit(document: Any) -> None:
        for machines in (change.new, change.changed):
            for machine, tags in machines.items():
                section = document["machines"][machine]
                if section.get("tags") is None:
                    section["tags"] = {}
                for tag, values in tags.items():
                    section["tags"][tag] = flow(dict(values))
        for machine, gone in change.gone.items():
            for tag in gone:
                del document["machines"][machine]["tags"][tag]

    try:
        replace(path, edited(path, edit))
    except Mistakes as error:
        raise Failure(_("{mistakes}\nnothing was imported").format(mistakes=error), exit_code=MISTAKE) from error


def _tell(change: Change, *, written: bool) -> None:
    lines = [f"+ {machine}/{tag}" for machine, tags in change.new.items() for tag in tags]
    lines += [f"~ {machine}/{tag}" for machine, tags in change.changed.items() for tag in tags]
    lines += [f"- {machine}/{tag}" for machine, tags in change.gone.items() for tag in tags]
    for line in lines[:SHOWN]:
        say(line)
    if len(lines) > SHOWN:
        say(_("and {more} more").format(more=len(lines) - SHOWN))
    counts = change.counts()
    done = _("{new} new, {changed} changed, {gone} gone")
    say((done if written else _("would be: {what}").format(what=done)).format(**counts))


@app.command("export")
def export_tags(file: TableArgument, config: ConfigOption = None) -> None:
    """Write the config's tags as a table, which 'import' reads again."""
    from gateway.tag_lists.table import TableBroken, write_table
    from gateway.tag_lists.tag_list import rows_of

    columns, rows = rows_of(load_config(config))
    try:
        write_table(file, columns, rows)
    except (TableBroken, OSError) as error:
        raise Failure(str(error)) from error
    say(_("wrote {count} tags to {file}").format(count=len(rows), file=file))
