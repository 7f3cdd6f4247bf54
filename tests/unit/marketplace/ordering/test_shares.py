from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketplace.ordering.shares import Cover, Share, allot, cover

amounts = st.decimals(0, 1000, places=3)
lines = st.lists(amounts, min_size=1, max_size=6).map(
    lambda found: [Share(1, f"r{index}", quantity) for index, quantity in enumerate(found)]
)


@given(amounts, lines)
def test_nobody_gets_more_than_their_share_and_nothing_is_lost(amount, shares):
    given_out = allot(amount, shares)
    assert all(0 <= part <= share.quantity for part, share in zip(given_out, shares, strict=True))
    assert sum(given_out) == min(amount, sum(share.quantity for share in shares))


@given(amounts, amounts, lines)
def test_more_goods_never_take_anything_away(amount, more, shares):
    before, after = allot(amount, shares), allot(amount + more, shares)
    assert all(earlier <= later for earlier, later in zip(before, after, strict=True))


@given(amounts, lines)
def test_the_first_in_line_is_served_to_the_brim_before_the_next(amount, shares):
    given_out = allot(amount, shares)
    for index, part in enumerate(given_out):
        if part > 0:
            assert all(given_out[earlier] == shares[earlier].quantity for earlier in range(index))


def test_less_than_nothing_is_nothing():
    assert allot(Decimal(-1), [Share(1, "r", Decimal(2))]) == (0,)


def test_what_came_of_an_order_that_ended_counts_and_the_rest_of_it_does_not():
    held = cover(Decimal(5), [(Decimal(3), Decimal(1), False), (Decimal(2), Decimal(0), True)])
    assert held == Cover(Decimal(5), Decimal(1), Decimal(2))
    assert (held.covered, held.missing, held.fulfilled) == (3, 2, False)


@given(amounts, st.lists(st.tuples(amounts, amounts), max_size=6))
def test_what_stands_comes_sooner_or_later(wanted, shares):
    """Whatever of each share came by now: what is here and what still comes are what was ordered."""
    ordered = [(max(pair), min(pair), True) for pair in shares]
    assert cover(wanted, ordered).covered == sum(quantity for quantity, _arrived, _stands in ordered)


def test_more_than_wanted_is_missing_nothing():
    held = cover(Decimal(2), [(Decimal(3), Decimal(3), True)])
    assert (held.missing, held.fulfilled) == (0, True)


def test_the_sum_of_nothing_is_a_decimal_too():
    held = cover(Decimal(2), [])
    assert (type(held.came), type(held.coming), held) == (Decimal, Decimal, Cover(Decimal(2)))
