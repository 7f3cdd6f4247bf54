"""The demo's calm live view: what wears, what was bought, and where to look. It only shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from gettext import gettext as _
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from gateway import i18n
from gateway.views import NeedView, OrderView
from marketplace import sentences

ORDERS_SHOWN = 8


def picture(
    needs: Sequence[NeedView],
    orders: Sequence[OrderView],
    *,
    address: str,
    link: str,
    now: datetime,
    zone: ZoneInfo,
    connections: Mapping[str, bool],
) -> Group:
    """Return the whole view."""
    head = Text()
    head.append("Toolcrib", style="bold")
    head.append(_("   plant time {time}   ").format(time=i18n.when(now, zone)))
    for name, up in connections.items():
        head.append(f"{name} ", style="green" if up else "red")
        head.append(_("connected  ") if up else _("lost  "), style="dim")
    where = Text(_("Page {address}   sign in once with ").format(address=address))
    where.append(link, style=f"link {link}")
    return Group(head, where, Text(), _needs(needs), Text(), _orders(orders), Text(_("Ctrl-C ends it."), style="dim"))


def _needs(needs: Sequence[NeedView]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in (_("Machine"), _("Component"), _("Health"), _("Lasts"), _("Fails before a part is here"), _("Wire")):
        table.add_column(name)
    for need in needs:
        lasts = "-" if need.remaining_days is None else _("{days:.0f} days").format(days=need.remaining_days)
        chance = "-" if need.failure_probability is None else i18n.percent(need.failure_probability)
        wire = _("encrypted") if need.provenance == "A" else _("plain")
        table.add_row(need.machine_name, need.name, _bar(need.health), lasts, chance, wire)
    return table


def _bar(health: float) -> Text:
    filled = round(10 * min(max(health, 0.0), 1.0))
    style = "green" if health > 0.4 else "yellow" if health > 0.15 else "red"
    bar = Text("━" * filled, style=style)
    bar.append("━" * (10 - filled), style="dim")
    bar.append(f" {health:4.0%}")
    return bar


def _orders(orders: Sequence[OrderView]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in (_("Order"), _("For"), _("Supplier"), _("Total"), _("State"), _("Allowed by")):
        table.add_column(name, justify="right" if name == _("Total") else "left")
    for order in orders[:ORDERS_SHOWN]:
        allowed = order.decided_by if order.authority == "person" else order.authority
        table.add_row(
            Text(order.number),
            Text(order.component),
            Text(order.supplier),
            i18n.amount(order.total),
            sentences.standing(order.state),
            Text(allowed or _("waits for you")),
        )
    return table
