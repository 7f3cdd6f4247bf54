"""Whoever tampers is found, and where."""

from __future__ import annotations

import hashlib
import json

import pytest
from sqlalchemy import Integer, cast, delete, insert, select, text, update

from marketplace.audit import accounts, log
from marketplace.audit import verify as module
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.merkle import EMPTY_ROOT, leaf_hash, node_hash
from marketplace.audit.verify import verify
from marketplace.authority import gate
from marketplace.documents import canonical
from marketplace.store import (
    Owner,
    approval,
    audit_leaf,
    audit_tree,
    booking,
    permit,
    policy_version,
    purchase_order,
    reservation,
    spend_limit,
)

LEAVES = 11


@pytest.fixture
def tamper(told):
    """Do something to the tables behind the program's back and return what verification says."""

    async def tamper(*statements):
        async with told.write() as tx:
            await tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            for statement in statements:
                await tx.execute(statement)
            found = await verify(tx)
        assert not found.verified
        return list(found.problems)

    return tamper


def leaf(index):
    return audit_leaf.c.leaf_index == index


async def stored(told, index):
    async with told.read() as connection:
        return (await connection.execute(select(audit_leaf).where(leaf(index)))).one()


async def test_an_untouched_log_verifies(told):
    async with told.read() as connection:
        found = await verify(connection)
        tree = (await connection.execute(select(audit_tree))).one()
    assert found.problems == ()
    assert (found.entries, found.root, found.verified) == (LEAVES, tree.root.hex(), True)


async def test_an_empty_database_verifies(spend, owner):
    async with spend.read() as connection:
        for found in (await verify(connection), await verify(connection, owner)):
            assert (found.entries, found.root, found.verified) == (0, EMPTY_ROOT.hex(), True)


async def test_each_gateway_is_verified_by_itself(told, owner, now):
    other = Owner(owner.plant, "G2")
    async with told.write() as tx:
        await log.append(tx, other, "thing.done", "thing", Actor(ActorKind.PERSON, "anna", "web"), {}, now)
    async with told.write() as tx:
        await tx.execute(update(audit_leaf).where(audit_leaf.c.gateway_id == "G2").values(kind="x"))
    async with told.read() as connection:
        assert (await verify(connection, owner)).verified
        assert not (await verify(connection, other)).verified
        both = await verify(connection)
    assert both.entries == LEAVES + 1
    assert len(both.root.split()) == 2


async def test_a_gateway_that_did_nothing_has_nothing_wrong_whatever_others_did(told, owner):
    async with told.read() as connection:
        for other in (Owner(owner.plant, "G2"), Owner("southworks", owner.gateway_id)):
            found = await verify(connection, other)
            assert (found.entries, found.root, found.problems) == (0, EMPTY_ROOT.hex(), ())


async def test_a_flipped_bit_is_found_in_its_leaf(told, tamper):
    row = await stored(told, 4)
    flipped = row.leaf.replace(b"cheap-and-slow", b"cheap-and-slov")
    assert flipped != row.leaf
    assert await tamper(update(audit_leaf).where(leaf(4)).values(leaf=flipped)) == [
        "leaf 4 was changed: its bytes do not give its hash"
    ]


async def test_a_leaf_that_was_changed_with_its_hash_is_found_by_its_subtree(told, tamper):
    row = await stored(told, 9)
    changed = row.leaf.replace(b'"method":"policy"', b'"method":"nobody"')
    assert await tamper(update(audit_leaf).where(leaf(9)).values(leaf=changed, leaf_hash=leaf_hash(changed))) == [
        "leaf 9 was changed with its hash, or the subtree beside it: they do not fit"
    ]


async def test_a_leaf_that_was_changed_with_all_that_stands_beside_it_is_found_in_the_tree(told, tamper):
    row = await stored(told, 8)
    changed = row.leaf.replace(b'"method":"policy"', b'"method":"nobody"')
    assert changed != row.leaf
    digest = leaf_hash(changed)
    values = {"leaf": changed, "leaf_hash": digest, "subtree": digest}
    after = node_hash(digest, (await stored(told, 9)).leaf_hash)
    assert await tamper(
        update(audit_leaf).where(leaf(8)).values(**values), update(audit_leaf).where(leaf(9)).values(subtree=after)
    ) == ["leaves 8 to 9 do not give the tree that was kept"]


@pytest.mark.parametrize(
    "change", [{"at": cast(2**62, Integer)}, {"kind": text("CAST(x'ff' AS TEXT)")}, {"leaf": text("'text'")}]
)
async def test_a_leaf_that_the_database_cannot_give_is_named(tamper, change):
    problems = await tamper(update(audit_leaf).where(leaf(3)).values(**change), delete(audit_leaf).where(leaf(2)))
    assert problems[:2] == ["leaf 2 is missing", "leaf 3 cannot be read"]


async def test_a_leaf_that_the_database_cannot_give_is_not_called_missing(tamper):
    problems = await tamper(update(audit_leaf).where(leaf(3)).values(leaf=text("'text'")))
    assert problems[0] == "leaf 3 cannot be read"
    assert not any("missing" in each for each in problems if each.startswith("leaf"))


async def test_a_float_has_no_place_in_a_leaf(tamper):
    assert "leaf 10 cannot be read" in await tamper(update(audit_leaf).where(leaf(10)).values(leaf=b'{"index":1.5}'))


async def test_a_row_beside_the_log_that_cannot_be_read_is_told(tamper):
    [problem] = await tamper(update(purchase_order).where(FIRST).values(supplier=text("CAST(x'ff' AS TEXT)")))
    assert problem.startswith("a row beside the log cannot be read")


async def test_a_missing_leaf_is_named(tamper):
    assert "leaf 9 is missing" in await tamper(delete(audit_leaf).where(leaf(9)))


async def test_missing_leaves_are_named(tamper):
    problems = await tamper(delete(audit_leaf).where(audit_leaf.c.leaf_index.between(9, 10)))
    assert "leaves 9 to 10 are missing" in problems


async def test_a_gap_is_named(tamper):
    problems = await tamper(delete(audit_leaf).where(audit_leaf.c.leaf_index.between(2, 4)))
    assert "leaves 2 to 4 are missing" in problems


async def test_two_leaves_that_changed_places_are_both_named(told, tamper):
    first, second = await stored(told, 2), await stored(told, 5)
    problems = await tamper(
        update(audit_leaf).where(leaf(2)).values(leaf=second.leaf, leaf_hash=second.leaf_hash),
        update(audit_leaf).where(leaf(5)).values(leaf=first.leaf, leaf_hash=first.leaf_hash),
    )
    assert "leaf 2 was exchanged: it says that it is leaf 5" in problems
    assert "leaf 5 was exchanged: it says that it is leaf 2" in problems


async def test_an_added_leaf_is_named(told, tamper):
    row = (await stored(told, 10))._asdict() | {"leaf_index": LEAVES}
    row["leaf"] = row["leaf"].replace(b'"index":10', b'"index":11')
    row["leaf_hash"] = row["subtree"] = leaf_hash(row["leaf"])
    problems = await tamper(insert(audit_leaf).values(**row))
    assert problems[0] == "leaf 11 was added: the tree has 11 leaves"


async def test_a_truncated_leaf_is_named(told, tamper):
    row = await stored(told, 10)
    assert await tamper(update(audit_leaf).where(leaf(10)).values(leaf=row.leaf[:-7])) == [
        "leaf 10 was changed: its bytes do not give its hash",
        "leaf 10 cannot be read",
    ]


@pytest.mark.parametrize("change", [{"kind": "x"}, {"subject": "x"}])
async def test_a_row_that_says_other_than_its_leaf_is_named(tamper, change):
    assert await tamper(update(audit_leaf).where(leaf(3)).values(**change)) == [
        "leaf 3 is not in its place: its text and its row differ"
    ]


async def test_another_spelling_is_not_canonical(told, tamper):
    row = await stored(told, 10)
    problems = await tamper(update(audit_leaf).where(leaf(10)).values(leaf=row.leaf + b" "))
    assert "leaf 10 is not in canonical form" in problems


async def test_a_leaf_of_another_kind_of_content_cannot_be_read(tamper):
    for content in (b"[]", b"1", canonical({"index": 10}), b"{\xff"):
        assert "leaf 10 cannot be read" in await tamper(update(audit_leaf).where(leaf(10)).values(leaf=content))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"size": 12}, "leaf 11 is missing"),
        ({"root": b"\0" * 32}, "the kept root is not that of the kept tree"),
        ({"frontier": b"\0" * 96}, "leaves 0 to 7 do not give the tree that was kept"),
        ({"frontier": b"\0"}, "the kept tree does not hold together"),
    ],
)
async def test_a_tree_that_was_changed_is_found(tamper, change, problem):
    assert problem in await tamper(update(audit_tree).values(**change))


async def test_a_tree_that_was_cut_back_with_its_leaves_still_there_is_found(tamper):
    assert "leaf 10 was added: the tree has 10 leaves" in await tamper(update(audit_tree).values(size=10))


async def test_a_lost_tree_is_found(tamper):
    assert await tamper(delete(audit_tree)) == ["the kept tree is missing or empty, but there are leaves"]


async def test_problems_are_bounded(told, tamper, monkeypatch):
    monkeypatch.setattr(module, "PROBLEMS_MAX", 3)
    assert len(await tamper(update(audit_leaf).values(leaf=b"x"))) == 3


async def test_a_long_log_is_read_in_chunks(told, owner, now, monkeypatch):
    monkeypatch.setattr(accounts, "CHUNK", 1)
    monkeypatch.setattr(module, "CHUNK", 4)
    async with told.read() as connection:
        found = await verify(connection)
    assert (found.entries, found.verified) == (LEAVES, True)


FIRST = purchase_order.c.number == "G1-0001-A"
SECOND = purchase_order.c.number == "G1-0002-B"


async def document(told, number="G1-0001-A"):
    query = select(purchase_order.c.document).where(purchase_order.c.number == number)
    async with told.read() as connection:
        return json.loads((await connection.execute(query)).scalar_one())


async def test_an_order_whose_text_was_changed_is_found(told, tamper):
    changed = await document(told) | {"supplier": "friend-of-mine"}
    assert await tamper(update(purchase_order).where(FIRST).values(document=canonical(changed).decode())) == [
        "order G1-0001-A: its stored text is not what was hashed"
    ]


async def test_an_order_that_was_changed_with_its_hash_is_found(told, tamper):
    spelt = canonical(await document(told) | {"account": "mine"}).decode()
    changed = {"document": spelt, "order_hash": hashlib.sha256(spelt.encode()).hexdigest()}
    problems = await tamper(update(purchase_order).where(FIRST).values(**changed))
    assert "order G1-0001-A: leaf 2 states another hash than is stored" in problems
    assert "order G1-0001-A is confirmed, but no leaf allows it as it is stored" in problems


@pytest.mark.parametrize("change", [{"supplier": "other"}, {"total_minor": 1}, {"currency": "USD"}])
async def test_columns_that_differ_from_the_text_are_found(tamper, change):
    assert await tamper(update(purchase_order).where(FIRST).values(**change)) == [
        "order G1-0001-A: its supplier, total or currency is not that of its stored text"
    ]


async def test_a_text_that_is_none_is_found(tamper):
    for spelt in ("[]", "{}", "{"):
        changed = {"document": spelt, "order_hash": hashlib.sha256(spelt.encode()).hexdigest()}
        problems = await tamper(update(purchase_order).where(FIRST).values(**changed))
        assert "order G1-0001-A: its supplier, total or currency is not that of its stored text" in problems


async def test_an_order_that_nobody_allowed_is_found(told, tamper, make_order, store_order, owner, now):
    order = make_order("G1-0003-C")
    actor = Actor(ActorKind.GATEWAY, "G1", "policy")
    async with told.write() as tx:
        await store_order(tx, order)
        await log.append(tx, owner, "order.proposed", order.number, actor, {"order_hash": order.hash}, now)
        assert (await verify(tx)).verified
    assert await tamper(
        update(purchase_order).where(purchase_order.c.number == order.number).values(state="shipped")
    ) == ["order G1-0003-C is shipped, but no leaf allows it as it is stored"]


async def test_an_order_that_no_leaf_knows_is_found(told, make_order, store_order):
    async with told.write() as tx:
        await store_order(tx, make_order("G1-0003-C"))
        assert (await verify(tx)).problems == ("order G1-0003-C: no leaf knows it",)


async def test_an_order_that_was_deleted_is_found(tamper):
    problems = await tamper(
        delete(booking).where(booking.c.order_number == "G1-0001-A"),
        delete(reservation).where(reservation.c.order_number == "G1-0001-A"),
        delete(permit).where(permit.c.order_number == "G1-0001-A"),
        delete(purchase_order).where(FIRST),
    )
    assert "order G1-0001-A is missing; leaf 2 speaks of it" in problems
    assert any("is missing" in problem and "permit" in problem for problem in problems)
    assert "order G1-0001-A: its booking is not what the log says" in problems
    assert "limit machine:mill:30 d:EUR: its bookings do not add up to what it says" in problems


@pytest.mark.parametrize("change", [{"person": "bob"}, {"verdict": "deny"}, {"order_hash": "0"}])
async def test_a_signature_that_was_changed_is_found(tamper, change):
    problems = await tamper(update(approval).values(**change))
    assert len(problems) == 1
    assert problems[0].startswith("order G1-0002-B: no leaf knows the signature of")


async def test_a_permit_that_no_leaf_knows_is_found(tamper):
    problems = await tamper(update(permit).where(permit.c.order_number == "G1-0001-A").values(id="forged"))
    assert "order G1-0001-A: no leaf knows the permit forged" in problems
    assert len(problems) == 2


async def test_a_policy_that_was_changed_is_found(tamper):
    problems = await tamper(update(policy_version).values(document='{"schema":1}'))
    assert "policy version 1 is not the one that was applied" in problems
    problems = await tamper(update(policy_version).values(document="nonsense"))
    assert "policy version 1 is not the one that was applied" in problems


async def test_a_policy_that_was_deleted_is_found(tamper):
    problems = await tamper(delete(policy_version))
    assert "policy version 1 is missing" in problems
    assert "limit machine:mill:30 d:EUR: it is not the policy's" in problems


async def test_limits_are_held_against_the_newest_policy(told, owner, now, anna, policy_document):
    async with told.write() as tx:
        for amount in ("3000 EUR", "2500 EUR"):
            changed = policy_document | {"window": {"days": 30, "per_machine": amount}}
            await gate.apply_policy(tx, owner, changed, anna, now)
        assert (await verify(tx)).problems == ()


async def test_a_raised_limit_is_found(tamper):
    assert await tamper(update(spend_limit).values(limit_value=10**9, ceiling=10**9)) == [
        "limit machine:mill:30 d:EUR: it is not the policy's"
    ]


async def test_bookings_that_do_not_add_up_are_found(tamper):
    assert await tamper(update(spend_limit).values(machine_used=0)) == [
        "limit machine:mill:30 d:EUR: its bookings do not add up to what it says"
    ]


@pytest.mark.parametrize("change", [{"minor": 1}, {"state": "released"}, {"by_person": True}])
async def test_a_reservation_that_was_changed_is_found(tamper, change):
    ours = reservation.c.order_number == "G1-0001-A"
    problems = await tamper(update(reservation).where(ours).values(**change))
    assert "order G1-0001-A: its booking is not what the log says" in problems
    assert "order G1-0001-A: what it takes of its limits is not what is reserved for it" in problems


@pytest.mark.parametrize("change", [{"amount": 1}, {"state": "released"}, {"by_person": True}])
async def test_a_booking_that_was_changed_is_found(tamper, change):
    ours = booking.c.order_number == "G1-0001-A"
    problems = await tamper(update(booking).where(ours).values(**change))
    assert "order G1-0001-A: what it takes of its limits is not what is reserved for it" in problems
    assert "limit machine:mill:30 d:EUR: its bookings do not add up to what it says" in problems


async def test_a_commitment_that_elapsed_is_what_the_log_says(told):
    async with told.write() as tx:
        ours = booking.c.order_number == "G1-0001-A"
        await tx.execute(update(booking).where(ours).values(state="elapsed"))
        await tx.execute(update(spend_limit).values(machine_used=0))
        assert (await verify(tx)).problems == ()


async def test_a_reservation_that_no_leaf_knows_is_found(told, make_order, store_order, owner, now):
    async with told.write() as tx:
        await store_order(tx, make_order("G1-0003-C"))
        copied = (await tx.execute(select(reservation).where(reservation.c.send == 1).limit(1))).one()._asdict()
        await tx.execute(insert(reservation).values(**copied | {"order_number": "G1-0003-C"}))
        assert "order G1-0003-C: no leaf knows its booking" in (await verify(tx)).problems
