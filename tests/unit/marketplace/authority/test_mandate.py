from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from marketplace.authority.mandate import Decision, Mandate, Outcome, objection_of
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


@pytest.mark.parametrize(
    ("granted", "machine", "at", "rule", "figures"),
    [
        (None, "mill", UNTIL, "NO_MANDATE", {}),
        (mandate(), "mill", UNTIL, "MANDATE_ENDED", {"until": "2027-12-31T00:00:00.000000Z"}),
        (mandate(), "press", UNTIL - timedelta(1), "MACHINE_NOT_COVERED", {"machine": "press"}),
    ],
)
def test_without_authority_it_is_said_what_is_missing(granted, machine, at, rule, figures):
    assert objection_of(granted, machine, at) == Decision(Outcome.DENY, rule, figures)


def test_a_limit_of_nothing_is_no_limit():
    assert mandate(per_order="0.01 EUR").per_order == Money(1, "EUR")
    for amount in ("0 EUR", "-0.01 EUR"):
        with pytest.raises(ValidationError, match="above zero"):
            mandate(per_order=amount)


def test_its_canonical_form_reads_back_and_outlives_this_software():
    document = mandate(machines=["press", "mill"]).document()
    assert document == {
        "granted_by": "anna",
        "machines": ["mill", "press"],
        "per_order": "500.00 EUR",
        "until": "2027-12-31T00:00:00.000000Z",
    }
    assert Mandate.model_validate(document).hash == mandate(machines=["press", "mill"]).hash
