"""Commands that change something. Each goes through the running gateway's control socket as the named person whom the
operating-system user stands for; without a running gateway nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.looking import OrderArgument, order_hash
from gateway.commands.output import MISTAKE, ConfigOption, Failure, JsonOption, find_data, load_config, say, say_json

if TYPE_CHECKING:
    from gateway.config import DataPlace

PANEL = "Acting (through the running gateway)"
ComponentArgument = Annotated[str, typer.Argument(help="machine/component", metavar="COMPONENT")]
PersonOption = Annotated[
    str | None, typer.Option("--as", help="Which person you are, where your user stands for several.")
]
NoteOption = Annotated[str, typer.Option("--note", help="A remark for those who look later.")]


clock_app = typer.Typer(help="The plant's clock, where it has jumped.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(clock_app, name="clock", rich_help_panel=PANEL)
    for command in (approve, deny, cancel, release, answer, received, reading, symptom, fitted, stock, prices, reload):
        app.command(rich_help_panel=PANEL)(command)
    app.command("sign-in", rich_help_panel=PANEL)(sign_in)


def act(place: DataPlace, name: str, body: Mapping[str, Any], as_json: bool, person: str | None) -> None:
    """Do one act and say what became of it. Raises `NotRunning`, `Interrupted`, `Refused`."""
    from gateway import control_client

    try:
        outcome = control_client.act(place.directory, name, body, person)
    except control_client.Refused as error:
        if not as_json:
            raise
        say_json({"ok": False, "code": error.code, "message": str(error)})
        raise typer.Exit(1) from error
    if as_json:
        say_json(outcome)
    else:
        say(str(outcome.get("message", "")))


def approve(
    order: OrderArgument,
    order_hash_seen: Annotated[
        str | None, typer.Option("--hash", help="Approve only if this is still the order's hash.")
    ] = None,
    note: NoteOption = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign exactly the order as it stands; it is sent at once."""
    place = find_data(config)
    exact = order_hash_seen or order_hash(place, order)
    act(place, "approve", {"number": order, "order_hash": exact, "note": note}, as_json, person)


def deny(
    order: OrderArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; for those who look later.")] = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse an order; the same want is not raised again for a while."""
    place = find_data(config)
    exact = order_hash(place, order)
    act(place, "deny", {"number": order, "order_hash": exact, "note": reason}, as_json, person)


def cancel(
    order: OrderArgument, person: PersonOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Withdraw an order that was not sent, or ask the supplier to cancel it."""
    act(find_data(config), "cancel", {"number": order}, as_json, person)


def release(
    subject: Annotated[str, typer.Argument(help="An order's number, or a requisition's id.", metavar="ORDER")],
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a purchase that was set apart be taken up again: you have looked at it."""
    act(find_data(config), "release", {"subject": subject}, as_json, person)


def answer(
    order: OrderArgument,
    reply: Annotated[
        str, typer.Option("--reply", help="confirmed, partly, rejected, received, not_placed, withdrawn or settled.")
    ] = "confirmed",
    price: Annotated[
        str | None, typer.Option("--price", help="The net total they named, or that is paid, such as '123.45 EUR'.")
    ] = None,
    promised: Annotated[
        str | None, typer.Option("--promised", help="When it comes: 2026-03-31, or with a time.")
    ] = None,
    reference: Annotated[str, typer.Option("--reference", help="Their number for the order.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="What they said.")] = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter what a supplier said about an order, or that a dispute about it is settled."""
    place = find_data(config)
    body = {
        "number": order,
        "reply": reply,
        "total": price,
        "promised_at": None if promised is None else _moment(promised, place).isoformat(),
        "supplier_reference": reference,
        "reason": reason,
    }
    act(place, "answer", body, as_json, person)


def _moment(text: str, place: DataPlace) -> datetime:
    """Return a promised time; a bare day is kept until its end, in the site's time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        sentence = _("{text} is no day such as 2026-03-31").format(text=repr(text))
        raise Failure(sentence, exit_code=MISTAKE) from error
    if len(text) == len("2026-03-31"):
        moment = datetime.combine(moment.date(), time(23, 59))
    return (moment if moment.tzinfo else moment.replace(tzinfo=place.zone)).astimezone(UTC)


def received(
    order: OrderArgument,
    line: Annotated[
        list[str] | None, typer.Option("--line", help="NUMBER=QUANTITY; may be given often. Everything if left out.")
    ] = None,
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter that goods arrived and were checked."""
    act(find_data(config), "received", {"number": order, "quantities": _quantities(line)}, as_json, person)


def _quantities(lines: list[str] | None) -> dict[str, str] | None:
    if not lines:
        return None
    found = {}
    for line in lines:
        number, equals, quantity = line.partition("=")
        if not equals or not number.strip().isdigit():
            sentence = _("{line} is not NUMBER=QUANTITY, such as 1=2").format(line=repr(line))
            raise Failure(sentence, exit_code=MISTAKE)
        found[number.strip()] = quantity.strip()
    return found


def reading(
    component: ComponentArgument,
    value: Annotated[str, typer.Argument(help="With its unit, such as '1234 h'.")],
    clock: Annotated[str, typer.Option("--clock", help="Of which clock, if it has several in this unit.")] = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter what a person read off a machine."""
    body = {"component": component, "value": value} | ({"clock": clock} if clock else {})
    act(find_data(config), "reading", body, as_json, person)


def symptom(
    component: ComponentArgument,
    said: Annotated[
        str, typer.Argument(help="What you see, hear or smell, such as 'grinding noise'; left out: what it may be.")
    ] = "",
    over: Annotated[bool, typer.Option("--over", help="It is over, or never was: take it back.")] = False,
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report a symptom of a component; the config's table says which job it calls for."""
    if said:
        act(
            find_data(config),
            "symptom-over" if over else "symptom",
            {"component": component, "said": said},
            as_json,
            person,
        )
        return
    known = _may_be_said(component, config)
    if as_json:
        say_json({"component": component, "symptoms": known})
    for each in known if not as_json else ():
        say(each)


def _may_be_said(component: str, config: Path | None) -> list[str]:
    """Return what the config knows of symptoms of a component. Raises `Failure`."""
    from maintenance.symptoms import choices, table_for

    site = load_config(config)
    if component not in site.components:
        sentence = _("there is no component {component}; the config has: {known}")
        raise Failure(sentence.format(component=component, known=", ".join(sorted(site.components))), exit_code=MISTAKE)
    return list(choices(table_for(component, site.file.symptoms)))


def fitted(
    component: ComponentArgument,
    serial: Annotated[str, typer.Option("--serial", help="The part's serial number.")] = "",
    used: Annotated[
        str | None, typer.Option("--used", help="What it had run before, such as '0 h'; nobody knows if left out.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="It had never run before.")] = False,
    found: Annotated[
        str, typer.Option("--found", help="How the part before was: failed, worn, half or like-new.")
    ] = "",
    note: NoteOption = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter that a part was fitted; a new life begins, and the one before may teach something."""
    if new and used is not None:
        raise Failure(_("--new and --used exclude each other"), exit_code=MISTAKE)
    body = {"component": component, "serial": serial, "used": "0 h" if new else used, "note": note}
    body |= {"found": found} if found else {}
    act(find_data(config), "fitted", body, as_json, person)


def stock(
    item: Annotated[str, typer.Argument(help="The item's key.")],
    quantity: Annotated[str, typer.Argument(help="How many are on the shelf, as counted.")],
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter how many of an item are on the shelf."""
    act(find_data(config), "stock", {"item": item, "quantity": quantity}, as_json, person)


def prices(
    supplier: Annotated[str, typer.Argument(help="A supplier who is asked by hand.")],
    csv: Annotated[Path, typer.Argument(help="Their price list.")],
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter a supplier's price list from a CSV file."""
    act(find_data(config), "prices", {"supplier": supplier, "text": text_of(csv)}, as_json, person)


@clock_app.command("accept")
def accept_clock(person: PersonOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say that plant time is right although it has jumped; until then every order asks and no limit elapses."""
    act(find_data(config), "clock", {}, as_json, person)


def reload(person: PersonOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let the running gateway read its config again; tags and connections that stay the same see nothing of it."""
    act(find_data(config), "reload", {}, as_json, person)


def text_of(path: Path) -> str:
    """Return the text of a file that a command names. Raises `Failure`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read(1024 * 1024 + 1)
    except OSError as error:
        sentence = _("{path} cannot be read: {reason}").format(path=path, reason=error.strerror)
        raise Failure(sentence, exit_code=MISTAKE) from error
    except UnicodeDecodeError as error:
        raise Failure(_("{path} is not UTF-8 text").format(path=path), exit_code=MISTAKE) from error
    if len(text) > 1024 * 1024:
        raise Failure(_("{path} is larger than 1 MiB").format(path=path), exit_code=MISTAKE)
    return text


def sign_in(person: PersonOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print a link that signs you in to the page: it works once, within ten minutes."""
    from gateway import control_client

    found = control_client.sign_in(find_data(config).directory, person)
    if as_json:
        say_json(found)
    else:
        say(str(found["link"]))
