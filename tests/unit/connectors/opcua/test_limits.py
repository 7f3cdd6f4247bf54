"""A server gets no more in one request than it takes."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua

from connectors.opcua.limits import ITEMS_PER_REQUEST, _limit, portions


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        (ua.DataValue(ua.Variant(50, ua.VariantType.UInt32)), 50),
        (ua.DataValue(ua.Variant(0, ua.VariantType.UInt32)), ITEMS_PER_REQUEST),
        (ua.DataValue(ua.Variant(2**31, ua.VariantType.UInt32)), 10_000),
        (ua.DataValue(ua.Variant("many")), ITEMS_PER_REQUEST),
        (ua.DataValue(), ITEMS_PER_REQUEST),
    ],
)
def test_a_limit_is_what_the_server_says_within_reason(said: Any, limit: int):
    assert _limit(said) == limit


def test_portions_hold_everything_once_and_in_order():
    assert [list(part) for part in portions(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(portions([], 3)) == []
