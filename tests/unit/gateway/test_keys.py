"""Keys of what machines call by names of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.keys import free_key, key_of
from gateway.settings import Key

LEGAL: TypeAdapter[str] = TypeAdapter(Key)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("SpindleSpeed", "spindle-speed"),
        ("M-4711", "m-4711"),
        ("DW60L", "dw60l"),
        ("Kühlmittel (Größe 2)", "kuhlmittel-grosse-2"),
        ("  ", "unnamed"),
        ("主轴", "unnamed"),
        ("Tag000001", "tag000001"),
    ],
)
def test_a_name_becomes_a_key_that_people_know_again(name: str, key: str):
    assert key_of(name) == key


@given(st.text(max_size=300), st.sets(st.text(max_size=20)))
def test_any_name_becomes_a_legal_and_free_key(name: str, taken: set[str]):
    taken |= {key_of(name)}
    key = free_key([key_of(name)], taken)
    assert LEGAL.validate_python(key) == key
    assert key not in taken


def test_the_first_free_wish_is_taken_before_any_number():
    assert free_key(["a", "b-a", "c-b-a"], {"a"}) == "b-a"
    assert free_key(["a", "b-a"], {"a", "b-a", "a-2"}) == "a-3"
    assert len(free_key(["x" * 64], {"x" * 64})) == 64


def test_nothing_wished_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="wished"):
        free_key([], set())
