from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from marketplace.authority.mandate import Mandate, Outcome, objection_of
from marketplace.money import Money

UNTIL = datetime(2027, 12, 31, tzinfo=UTC)


def mandate(**changes) -> Mandate:
    return Mandate(
        **{"granted_by": "anna", "machines": ["mill"], "per_order": "500 EUR", "until": UNTIL, **changes},
    )


def test_a_mandate_reads_as_people_write_it():
    assert mandate().per_order == Money(50_000, "EUR")
    assert mandate(per_order=Money(1, "EUR")).per_order == Money(1, "EUR")


def test_a_mandate_cannot_be_changed():
    with pytest.raises(ValidationError):
        mandate().per_order = Money(1, "EUR")


def test_its_hash_follows_whatever_it_grants():
    changes = ({"machines": ["*"]}, {"per_order": "501 EUR"}, {"until": UNTIL + timedelta(1)}, {"granted_by": "bob"})
    assert len({mandate(**change).hash for change in ({}, *changes)}) == 5
    assert mandate(machines=["a", "b"]).hash == mandate(machines=["b", "a", "a"]).hash


def test_within_its_time_and_machines_nothing_objects():
    assert objection_of(mandate(), "mill", UNTIL - timedelta(microseconds=1)) is None
    for objection in (
        objection_of(None, "mill", UNTIL),
        objection_of(mandate(), "mill", UNTIL),
        objection_of(mandate(), "press", UNTIL - timedelta(1)),
    ):
        assert objection.outcome is Outcome.DENY
