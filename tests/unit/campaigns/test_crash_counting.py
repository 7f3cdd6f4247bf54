import pytest

from tests.campaigns.crash.counting import Count, Leaf, Plant, Purchase, Taken, Told, count, too_many

NUMBER, OTHER = "TC-N1-000001-T", "TC-N1-000002-R"
APPROVED = Leaf("decision.made", NUMBER, {"verdict": {"outcome": "approve"}})
ASKED = Leaf("decision.made", NUMBER, {"verdict": {"outcome": "ask"}})
SIGNED = Leaf("approval.given", NUMBER, {})
PERMITTED = Leaf("permit.issued", NUMBER, {"send": 1})
RELEASED = Leaf("budget.released", NUMBER, {})
RAISED = Leaf("requisition.raised", "want-1", {})
HELD = Taken("mute", NUMBER, live=True)


def purchase(state: str = "confirmed", number: str = NUMBER, booking: str = "committed") -> Purchase:
    return Purchase(number, "mute", state, (booking,), ("want-1",))


def plant(*purchases: Purchase, leaves: tuple[Leaf, ...] = (RAISED, APPROVED, PERMITTED), **more) -> Plant:
    wants = more.pop("wants", {"want-1": "ordered"})
    return Plant(purchases or (purchase(),), wants, leaves, **more)


def found(taken, kept: Plant, told: Told | None = None) -> Count:
    return count(taken, kept, told or Told())


def test_one_order_for_one_want_is_nothing_to_say():
    assert found([HELD], plant()).clean
    assert found([HELD], plant(leaves=(RAISED, ASKED, SIGNED, PERMITTED))).clean


def test_the_same_number_taken_twice_is_a_duplicate():
    said = found([HELD, HELD], plant(leaves=(RAISED, APPROVED, PERMITTED, PERMITTED)))
    assert said.duplicates == (f"{NUMBER}: mute holds 2",)
    assert not said.unreserved


def test_what_was_taken_twice_and_cancelled_or_forgotten_once_is_no_duplicate():
    taken = [HELD, Taken("mute", NUMBER, live=False)]
    assert found(taken, plant(leaves=(RAISED, APPROVED, PERMITTED, PERMITTED))).clean


def test_two_numbers_for_one_want_are_a_duplicate():
    second = Leaf("permit.issued", OTHER, {}), Leaf("approval.given", OTHER, {})
    kept = plant(purchase(), purchase(number=OTHER), leaves=(RAISED, APPROVED, PERMITTED, *second[::-1]))
    said = found([HELD, Taken("mute", OTHER, live=True)], kept)
    assert said.duplicates == (f"{NUMBER}, {OTHER}: all for want want-1",)


def test_the_second_order_of_a_want_whose_first_ended_is_none():
    first = Leaf("approval.given", OTHER, {}), Leaf("permit.issued", OTHER, {}), Leaf("budget.released", OTHER, {})
    kept = plant(purchase("rejected", OTHER, "released"), purchase(), leaves=(RAISED, *first, APPROVED, PERMITTED))
    assert found([HELD], kept).clean


@pytest.mark.parametrize("state", ["submitted", "confirmed", "shipped", "received", "closed"])
def test_what_the_plant_ordered_and_nobody_holds_is_lost(state):
    said = found([], plant(purchase(state)))
    assert said.lost == (f"{NUMBER}: is {state}, and mute does not hold it",)


def test_what_another_supplier_holds_is_lost_twice():
    said = found([Taken("keyed", NUMBER, live=True)], plant())
    assert len(said.lost) == 2


def test_what_a_supplier_holds_and_nobody_knows_is_lost():
    kept = plant(purchase(number=OTHER), leaves=(RAISED,))
    said = found([HELD, Taken("mute", OTHER, live=True)], kept)
    assert f"{NUMBER}: mute holds it, and no purchase knows it" in said.lost


@pytest.mark.parametrize("state", ["rejected", "not_placed", "denied", "expired", "cancelled"])
def test_what_a_supplier_holds_and_the_plant_takes_for_ended_is_lost(state):
    said = found([HELD], plant(purchase(state), wants={"want-1": "withdrawn"}))
    assert said.lost == (f"{NUMBER}: mute holds it, and it is {state} here",)


def test_a_want_that_is_gone_or_served_by_nothing_is_lost():
    assert found([HELD], plant(wants={})).lost == ("want want-1: was raised, and is gone",)
    alone = Plant((), {"want-1": "ordered"}, (RAISED,))
    assert found([], alone).lost == ("want want-1: is ordered, and no order serves it",)


def test_a_worn_slot_without_a_want_is_lost():
    assert found([HELD], plant(idle=("mute/slot-1",))).lost == ("mute/slot-1: is worn, and nothing is wanted for it",)


def test_what_a_person_was_told_and_is_not_there_is_lost():
    said = found([HELD], plant(serials=frozenset({"S-1"})), Told(frozenset({NUMBER}), frozenset({"S-1", "S-2"})))
    assert said.lost == ("S-2: was fitted, and no life began", f"{NUMBER}: was signed, and no signature is kept")


def test_an_order_that_nobody_permitted_is_unreserved():
    said = found([HELD], plant(leaves=(RAISED, APPROVED)))
    assert said.unreserved == (f"{NUMBER}: mute took it 1 times, and 0 sends were permitted",)


def test_a_permit_without_a_booking_is_unreserved():
    for leaves in ((PERMITTED,), (ASKED, PERMITTED), (APPROVED, RELEASED, PERMITTED)):
        said = found([HELD], plant(leaves=(RAISED, *leaves)))
        assert said.unreserved == (f"{NUMBER}: was permitted while nothing was booked for it",)


def test_a_live_order_whose_money_was_given_back_is_unreserved():
    said = found([HELD], plant(purchase(booking="released")))
    assert said.unreserved == (f"{NUMBER}: mute holds it, and nothing is booked for it",)


def test_the_naive_buyer_bought_too_many_where_one_want_has_two_orders():
    assert too_many(["a", "b", "a", "c", "a"]) == 2
    assert too_many(["a", "b"]) == 0
