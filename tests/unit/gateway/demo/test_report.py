from dataclasses import dataclass

import pytest

from gateway.demo.report import has_reached, is_whole


@dataclass
class Order:
    state: str
    authority: str = "policy"
    provenance: str = "A"


@pytest.mark.parametrize(
    ("state", "until", "reached"),
    [
        ("closed", "received", True),
        ("received", "received", True),
        ("shipped", "received", False),
        ("shipped", "confirmed", True),
        ("denied", "confirmed", False),
        ("needs_person", "submitted", False),
    ],
)
def test_an_order_on_its_way_has_reached_what_lies_behind_it(state: str, until: str, reached: bool):
    assert has_reached(Order(state), until) is reached


def test_the_main_job_takes_a_policy_on_encrypted_and_a_person_on_plain_evidence():
    by_policy, by_person = Order("closed"), Order("received", "person", "B")
    assert is_whole([by_policy, by_person], "received")
    assert not is_whole([by_policy], "received")
    assert not is_whole([by_policy, Order("received", "person", "A")], "received")
    assert not is_whole([by_policy, Order("shipped", "person", "B")], "received")
