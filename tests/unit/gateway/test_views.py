"""Views over a plant whose orders went through the real purchasing."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway import views
from gateway.views import ComponentPlan
from maintenance.store import load_needs
from marketplace import store
from marketplace.timing import advise
from tests.showcase.data import NOW, OWNER, PARTS, need_of, terms_of
from tests.showcase.plant import Plant, plant


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("viewed")


@pytest.fixture
async def made(tmp_path: Path, lived: Path) -> AsyncIterator[Plant]:
    async with plant(tmp_path, template=lived) as built:
        yield built


async def needs_of(made: Plant, now=NOW, plans=None) -> dict[str, views.NeedView]:
    async with made.telemetry.read() as tx:
        stored = [need for need, _picture in (await load_needs(tx)).values()]
    async with made.spend.read() as tx:
        found = await views.need_views(tx, OWNER, stored, made.context.plans() if plans is None else plans, now)
    return {view.component: view for view in found}


async def test_needs_come_with_what_is_under_way_the_most_urgent_first(made):
    found = await needs_of(made)
    assert next(iter(found)) == "mill/spindle-bearing"
    under_way = {key: (view.state, view.order) for key, view in found.items()}
    assert under_way == {
        "mill/spindle-bearing": ("shipped", made.numbers["shipped"]),
        "compressor/oil-filter": ("awaiting_approval", made.numbers["plain"]),
        "conveyor/motor": ("awaiting_approval", made.numbers["dear"]),
        "mill/coolant": ("to_be_fitted", made.numbers["received"]),
        "press/filter": ("idle", ""),
        "press/seals": ("idle", ""),
    }


async def test_a_need_carries_the_figures_of_its_belief_and_of_timing(made):
    view = (await needs_of(made))["conveyor/motor"]
    assert view.remaining_days == pytest.approx(12.0, abs=0.1)
    assert view.remaining_days_early < view.remaining_days < view.remaining_days_late
    assert 0.1 < view.failure_probability < 0.5
    assert view.decide_by < NOW
    assert view.provenance == "A"
    assert view.mode == "buy"
    assert view.known
    assert not view.stale


async def test_life_goes_on_while_nobody_revises_a_need(made):
    before = (await needs_of(made))["mill/coolant"]
    after = (await needs_of(made, NOW + timedelta(days=2)))["mill/coolant"]
    assert after.remaining_days == pytest.approx(before.remaining_days - 2, abs=1e-6)
    assert after.stale
    assert (await needs_of(made, NOW + timedelta(days=999)))["mill/coolant"].remaining_days == 0


async def test_a_component_that_left_the_config_is_not_shown_and_one_without_costs_has_no_decision(made):
    plans = {"mill/coolant": ComponentPlan("mill/coolant", "Mill", "Coolant", None)}
    found = await needs_of(made, plans=plans)
    assert list(found) == ["mill/coolant"]
    assert (found["mill/coolant"].failure_probability, found["mill/coolant"].decide_by) == (None, None)


def test_a_life_beyond_the_calendar_is_not_told_in_days():
    part = PARTS["press/seals"]
    need = need_of(part, NOW)
    slow = replace(need, belief=replace(need.belief, use_per_hour=1e-9))
    plan = ComponentPlan(part.component, "Press", "Seals", terms_of(part))
    advice = advise(slow.belief, terms_of(part), NOW)
    view = views.need_view(slow, plan, "ask", ("idle", ""), NOW, advice=advice)
    assert view.remaining_days is None
    assert view.decide_by is None


async def test_a_policy_that_was_tampered_with_shows_the_careful_mode(made):
    async with made.spend.write() as tx:
        await tx.execute(update(store.policy_version).values(document='{"schema":1,"modes":{"default":"buy"}}'))
    assert {view.mode for view in (await needs_of(made)).values()} == {"ask"}


async def test_orders_come_newest_first_with_the_lines_they_buy(made):
    async with made.spend.read() as tx:
        found = await views.orders(tx, OWNER)
    numbers = made.numbers
    assert [order.number for order in found] == [numbers[key] for key in ("plain", "dear", "shipped", "received")]
    shipped = found[2]
    assert shipped.as_dict() | {"lines": None, "order_hash": None} == {
        "number": numbers["shipped"],
        "supplier": "maker",
        "machine": "mill",
        "total": "268.80",
        "currency": "EUR",
        "state": "shipped",
        "authority": "policy",
        "rule": "WITHIN_LIMITS",
        "decided_by": shipped.decided_by or None,
        "provenance": "A",
        "lines": None,
        "freight": "0.00",
        "fees": "0.00",
        "created_at": "2026-02-28T05:00:00.000000Z",
        "changed_at": "2026-03-01T13:00:00.000000Z",
        "quoted_until": "2026-03-03T05:00:00.000000Z",
        "promised_at": "2026-03-04T05:00:00.000000Z",
        "supplier_reference": shipped.supplier_reference,
        "problem": None,
        "order_hash": None,
        "policy_version": 1,
        "releasable": False,
    }
    (line,) = shipped.as_dict()["lines"]
    assert line["component"] == "mill/spindle-bearing"
    assert {key: line[key] for key in ("item", "quantity", "unit", "unit_price", "shipped", "received")} == {
        "item": "bearing-7014", "quantity": "2", "unit": "C62", "unit_price": "134.40", "shipped": "2", "received": "0",
    }  # fmt: skip


async def test_orders_can_be_asked_for_by_state_and_number(made):
    async with made.spend.read() as tx:
        assert [order.number for order in await views.orders(tx, OWNER, states=["shipped"])] == [
            made.numbers["shipped"]
        ]
        assert await views.orders(tx, OWNER, states=[]) == []
        assert len(await views.orders(tx, OWNER, limit=2)) == 2
        assert (await views.order(tx, OWNER, made.numbers["dear"])).state == "awaiting_approval"
        assert await views.order(tx, OWNER, "NONE") is None
        assert await views.order(tx, replace(OWNER, plant="elsewhere"), made.numbers["dear"]) is None


async def test_what_waits_for_a_person_waits_in_the_order_in_which_prices_run_out(made):
    async with made.spend.read() as tx:
        assert [order.number for order in await views.waiting(tx, OWNER)] == [
            made.numbers["dear"],
            made.numbers["plain"],
        ]


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("", None),
        ('{"code":"OUTCOME_UNKNOWN","parameters":{"asked":3}}', ("OUTCOME_UNKNOWN", {"asked": "3"})),
        ("no json", ("no json", {})),
        ("[1]", ("[1]", {})),
        ('{"code":"X","parameters":[]}', ('{"code":"X","parameters":[]}', {})),
    ],
)
async def test_a_problem_is_read_and_never_hides_the_order(made, stored, read):
    order = store.purchase_order
    async with made.spend.write() as tx:
        await tx.execute(update(order).where(order.c.number == made.numbers["dear"]).values(problem=stored))
        assert (await views.order(tx, OWNER, made.numbers["dear"])).problem == read


async def test_offers_stand_side_by_side_with_every_term_the_chosen_one_first(made):
    async with made.spend.read() as tx:
        found = await views.offers(tx, OWNER, made.numbers["shipped"])
    assert [(offer.supplier, offer.rank, offer.outcome) for offer in found] == [
        ("maker", 1, "offered"),
        ("kontor", 2, "offered"),
        ("express", None, "unavailable"),
    ]
    assert set(found[0].terms) == {"goods", "freight", "fees", "lateness", "holding"}
    assert found[0].landed < found[1].landed
    assert found[2].landed is None
    assert found[2].as_dict()["unit_price"] is None
    assert found[0].as_dict()["landed"] == f"{found[0].landed.amount:f}"


async def test_an_order_without_a_round_of_offers_has_none(made):
    async with made.spend.read() as tx:
        assert await views.offers(tx, OWNER, "NONE") == []


async def test_the_audit_comes_newest_first_with_names_that_can_be_erased(made):
    async with made.spend.read() as tx:
        page = await views.audit(tx, OWNER, limit=3)
    assert [entry.index for entry in page.entries] == [page.size - 1, page.size - 2, page.size - 3]
    assert len(page.root) == 64
    async with made.spend.write() as tx:
        first = (await views.audit(tx, OWNER, before=1)).entries[0]
        assert (first.kind, first.actor, first.actor_name) == ("policy.applied", "anna", "Anna Weber")
        assert "Anna Weber" not in json.dumps(first.as_dict())
        await tx.execute(update(store.person).values(name=""))
        assert (await views.audit(tx, OWNER, before=1)).entries[0].actor_name == ""


async def test_the_history_of_an_order_comes_oldest_first(made):
    async with made.spend.read() as tx:
        kinds = [entry.kind for entry in await views.history(tx, OWNER, made.numbers["shipped"])]
    assert kinds[:2] == ["order.proposed", "decision.made"]
    assert kinds.index("order.confirmed") < kinds.index("order.shipped")


async def test_everything_that_programs_read_is_json(made):
    async with made.spend.read() as tx:
        found = [
            *(view.as_dict() for view in (await needs_of(made)).values()),
            *(order.as_dict() for order in await views.orders(tx, OWNER)),
            *(offer.as_dict() for offer in await views.offers(tx, OWNER, made.numbers["shipped"])),
            (await views.audit(tx, OWNER)).as_dict(),
        ]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


async def test_an_empty_plant_has_empty_views(tmp_path):
    async with plant(tmp_path, empty=True) as made, made.spend.read() as tx:
        assert await views.orders(tx, OWNER) == []
        assert await views.waiting(tx, OWNER) == []
        assert (await views.audit(tx, OWNER)).as_dict() == {"entries": 0, "root": "", "page": []}
        assert await needs_of(made) == {}
