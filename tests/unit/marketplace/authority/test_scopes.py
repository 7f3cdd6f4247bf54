"""What a stop reaches, without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.authority.scopes import PLANT, Halt, Scope, ScopeKind, covering, halt_told
from tests.conftest import NOW

MILL = Scope(ScopeKind.MACHINE, "mill")
KONTOR = Scope(ScopeKind.SUPPLIER, "kontor")
BEARING = Scope(ScopeKind.COMPONENT, "mill/bearing")
PURCHASE = {"machine": "mill", "components": ("mill/bearing",), "supplier": "kontor"}


def halt(scope: Scope, *, id: str = "h1", later: int = 0) -> Halt:
    return Halt(id, scope, "STOPPED_BY_PERSON", "anna", "web", NOW + timedelta(minutes=later))


@pytest.mark.parametrize("scope", [PLANT, MILL, KONTOR, BEARING])
def test_whatever_lies_within_a_stop_is_covered(scope):
    assert covering([halt(scope)], **PURCHASE) == halt(scope)


@pytest.mark.parametrize(
    "scope",
    [Scope(ScopeKind.MACHINE, "press"), Scope(ScopeKind.SUPPLIER, "express"), Scope(ScopeKind.COMPONENT, "mill/belt")],
)
def test_what_lies_outside_of_a_stop_goes_on(scope):
    assert covering([halt(scope)], **PURCHASE) is None


def test_a_machine_covers_a_component_of_it_in_an_order_that_was_made_for_another():
    assert MILL.covers(machine="press", components=("press/filter", "mill/bearing"), supplier="")


def test_a_machine_covers_its_orders_and_whatever_is_built_into_it_however_deep():
    assert covering([halt(MILL)], machine="mill", components=(), supplier="kontor") == halt(MILL)
    assert MILL.covers(machine="", components=("mill/spindle/bearing",), supplier="")


def test_what_is_not_known_of_a_purchase_yet_stops_nothing_but_the_plant():
    nothing = {"machine": "", "components": (), "supplier": ""}
    assert [scope for scope in (PLANT, MILL, KONTOR, BEARING) if scope.covers(**nothing)] == [PLANT]


def test_of_several_stops_the_widest_and_then_the_oldest_is_named():
    halts = [halt(BEARING, id="c"), halt(MILL, id="late", later=5), halt(MILL, id="early"), halt(KONTOR, id="s")]
    found = covering(halts, **PURCHASE)
    assert found is not None
    assert found.id == "early"


scopes = st.sampled_from([PLANT, MILL, KONTOR, BEARING, Scope(ScopeKind.SUPPLIER, "express")])


@given(st.lists(scopes), scopes)
def test_another_stop_never_frees_anything(standing, another):
    before = covering([halt(scope) for scope in standing], **PURCHASE)
    after = covering([halt(scope) for scope in [*standing, another]], **PURCHASE)
    assert before is None or after is not None


@pytest.mark.parametrize(
    ("kind", "key"), [(ScopeKind.PLANT, "mill"), (ScopeKind.MACHINE, ""), (ScopeKind.SUPPLIER, "")]
)
def test_a_scope_without_its_key_is_none(kind, key):
    with pytest.raises(ValueError, match="is no scope"):
        Scope(kind, key)


def test_a_stop_says_since_when_and_for_what():
    assert halt(MILL).parameters == {
        "scope": "machine",
        "key": "mill",
        "machine": "mill",
        "since": "2026-03-02T08:00:00.000000Z",
    }
    assert halt(PLANT).parameters == {"scope": "plant", "key": "", "since": "2026-03-02T08:00:00.000000Z"}
    assert [str(PLANT), str(BEARING)] == ["plant", "component mill/bearing"]


@pytest.mark.parametrize("scope", [PLANT, MILL, KONTOR, BEARING])
def test_the_figures_of_a_stop_tell_its_scope_and_since_when(scope):
    told = halt_told(halt(scope).parameters)
    assert told == Halt("", scope, "", "", "", NOW), "what figures do not tell stays empty"
    assert told.parameters == halt(scope).parameters


def test_no_figures_are_no_stop_and_broken_ones_are_none_either():
    assert halt_told(None) is None
    with pytest.raises(KeyError):
        halt_told({"scope": "plant"})
