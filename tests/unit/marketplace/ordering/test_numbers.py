import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.ordering import numbers
from marketplace.store import Owner

gateways = st.text(numbers.ALPHABET, min_size=2, max_size=2)
counters = st.integers(1, numbers.COUNTER_MAX)


def test_the_check_character_is_that_of_iso_7064():
    assert numbers.check_character("A12425GABC1234002") == "M"  # the Global Release Identifier's published example


@given(gateways, counters)
def test_a_number_is_short_enough_for_a_phone_call(gateway, counter):
    assert re.fullmatch(r"[A-Z0-9-]{14,20}", numbers.format_number(gateway, counter))


@given(gateways, counters)
def test_a_number_says_who_drew_it(gateway, counter):
    assert numbers.parse(numbers.format_number(gateway, counter)) == numbers.OrderNumber(gateway, counter)


@given(gateways, counters, st.data())
def test_one_wrong_character_is_noticed(gateway, counter, data):
    number = numbers.format_number(gateway, counter)
    place = data.draw(st.sampled_from([i for i, c in enumerate(number) if c != "-" and i > 1]))
    wrong = data.draw(st.sampled_from([c for c in numbers.ALPHABET if c != number[place]]))
    with pytest.raises(ValueError, match=r"order number|check character"):
        numbers.parse(number[:place] + wrong + number[place + 1 :])


@pytest.mark.parametrize("text", ["", "TC-G1-123-K", "TC-G1-000123", "PO-G1-000123-K", "TC-G1-000123-K; drop table"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="order number"):
        numbers.parse(text)


def test_a_number_is_read_however_it_was_typed():
    number = numbers.format_number("G1", 7)
    assert numbers.parse(f" {number.lower()} ").counter == 7
    assert numbers.parse(f"{number[:6]} {number[6:9]} {number[9:]}").counter == 7


@pytest.mark.parametrize(("gateway", "counter"), [("G", 1), ("g1", 1), ("G1", 0), ("G1", numbers.COUNTER_MAX + 1)])
def test_what_does_not_fit_is_refused(gateway, counter):
    with pytest.raises(ValueError, match=r"code|counter"):
        numbers.format_number(gateway, counter)


async def test_each_draw_is_another_number(spend, owner):
    drawn = []
    for _ in range(3):
        async with spend.write() as tx:
            drawn.append(numbers.parse(await numbers.draw(tx, owner)).counter)
    assert drawn == [1, 2, 3]


async def test_each_gateway_of_each_plant_counts_for_itself(spend, owner):
    drawn = []
    async with spend.write() as tx:
        for each in (owner, owner, Owner(owner.plant, "G2"), Owner("southworks", owner.gateway_id), owner):
            drawn.append(numbers.parse(await numbers.draw(tx, each)).counter)
    assert drawn == [1, 2, 1, 1, 3]


async def test_a_draw_that_is_rolled_back_was_never_drawn(spend, owner):
    with pytest.raises(RuntimeError):
        async with spend.write() as tx:
            await numbers.draw(tx, owner)
            raise RuntimeError
    async with spend.write() as tx:
        assert numbers.parse(await numbers.draw(tx, owner)).counter == 1
