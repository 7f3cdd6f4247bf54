"""What the gateway has spent lately and what is still open, as the pre-trade checks want to know it.

It promises to count from reservations, never from what somebody says about them, and changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, case, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.authority.checks import SPANS
from marketplace.ordering.states import ENDED, OrderState
from marketplace.store import Owner, PlantTime, purchase_order, reservation

ARRIVED: Final = (OrderState.RECEIVED, OrderState.DISPUTED)
"""The goods are there: what is still open is the invoice."""
_R = reservation.c
_MINE: Final = (_R.plant == bindparam("of_plant"), _R.gateway_id == bindparam("of_gateway"))
_SINCE: Final = {span: bindparam(f"of_{span}", type_=PlantTime) for span in SPANS}


def _orders(span: str, *, here: bool) -> object:
    counts = _R.booked_at > _SINCE[span]
    if here:
        counts &= _R.supplier == bindparam("of_supplier")
    return func.count(distinct(case((counts, _R.order_number)))).label(f"{span}_{here}")


_PACE: Final = select(*(_orders(span, here=here) for span in SPANS for here in (False, True))).where(  # type: ignore[call-overload]
    *_MINE, _R.booked_at > _SINCE["day"], _R.order_number != bindparam("of_order")
)
_EXPOSURE: Final = (
    select(_R.currency, func.sum(_R.minor).label("minor"))
    .join(purchase_order, purchase_order.c.number == _R.order_number)
    .where(
        *_MINE,
        _R.state.in_(("reserved", "committed")),
        purchase_order.c.state.not_in((*ENDED, *ARRIVED)),
        _R.order_number != bindparam("of_order"),
    )
    .group_by(_R.currency)
)


def _place(owner: Owner, order: str) -> dict[str, str]:
    return {"of_plant": owner.plant, "of_gateway": owner.gateway_id, "of_order": order}


async def pace(
    connection: AsyncConnection, owner: Owner, supplier: str, order: str, now: datetime
) -> tuple[dict[str, int], dict[str, int]]:
    """Return for how many other orders money was reserved in the last minute, hour, day: all, and at a supplier."""
    since = {f"of_{span}": now - length for span, length in SPANS.items()}
    row = (await connection.execute(_PACE, _place(owner, order) | since | {"of_supplier": supplier})).one()._mapping
    plant, here = ({span: int(row[f"{span}_{mine}"]) for span in SPANS} for mine in (False, True))
    return plant, here


async def exposure(connection: AsyncConnection, owner: Owner, order: str) -> dict[str, int]:
    """Return by currency the minor units of other orders for which goods are still to come."""
    rows = await connection.execute(_EXPOSURE, _place(owner, order))
    return {row.currency: int(row.minor) for row in rows}
