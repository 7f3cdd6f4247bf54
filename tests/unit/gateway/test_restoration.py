"""A plant on a restored backup: what it doubts, whom it asks, and that nothing is bought until a person says so."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from gateway import restored
from gateway.buying import BuyingState, Cause
from gateway.restoration import Restoration
from gateway.restored import CAREFUL, JUMP, SILENCE, Lost, Restored, load_note, save_note
from gateway.storage import FULL, Storage, StorageBroken
from marketplace.audit.verify import verify
from marketplace.authority.policy import Mode
from marketplace.ordering import numbers
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.reconciliation import Reconciliation
from tests.unit.marketplace.fakes import (
    ANNA,
    BLIND,
    CATALOGUE,
    AcceptingSupplier,
    Clock,
    Plant,
    SilentSupplier,
    UnavailableSupplier,
)


class HeldPlant(Plant):
    """A plant whose buying can be stopped, as the gateway's."""

    buying = BuyingState()

    def restart(self) -> None:
        parts = (self.database, self.owner, self.suppliers, CATALOGUE, self.terms, self.clock)
        self.purchasing = Purchasing(*parts, held=lambda: self.buying.stopped)
        self.reconciliation = Reconciliation(self.purchasing)


@pytest.fixture
async def plant(spend: Storage, owner, now) -> HeldPlant:
    clock = Clock(now)
    plant = HeldPlant(spend, owner, clock, {"supplier-1": AcceptingSupplier("supplier-1", clock)})
    plant.buying = BuyingState()
    await plant.apply_policy()
    return plant


class Disaster:
    """Copies the database, and later goes on with the copy."""

    def __init__(self, plant: HeldPlant, directory: Path) -> None:
        self.plant = plant
        self.directory = directory
        self.opened: list[Storage] = []

    async def back_up(self) -> None:
        spend, copy = sqlite3.connect(self.plant.database.path), sqlite3.connect(self.directory / "copy.db")
        with closing(spend), closing(copy):
            spend.backup(copy)
        self.made_at = self.plant.clock()
        async with self.plant.database.read() as tx:
            rows = (await tx.exec_driver_sql("SELECT last FROM order_counter")).scalars().all()
            self.size = (await tx.exec_driver_sql("SELECT size FROM audit_tree")).scalar_one()
        self.last = rows[0] if rows else 0

    async def strike(self, *, marked: bool = True) -> Restoration:
        """Lose everything since the backup, restore, and start."""
        async with self.plant.database.read() as tx:
            size = (await tx.exec_driver_sql("SELECT size FROM audit_tree")).scalar_one()
            rows = (await tx.exec_driver_sql("SELECT last FROM order_counter")).scalars().all()
        note = Restored(self.made_at, self.plant.clock(), self.size, self.last)
        if marked:
            note = Restored(self.made_at, self.plant.clock(), self.size, self.last, size, rows[0] if rows else 0)
        save_note(self.directory, note)
        shutil.copy(self.directory / "copy.db", self.directory / "restored.db")
        self.plant.database = Storage(self.directory / "restored.db", FULL)
        self.opened.append(self.plant.database)
        self.plant.restart()
        return await self.start()

    async def start(self) -> Restoration:
        plant = self.plant
        restoration = Restoration(self.directory, plant.buying, plant.purchasing, plant.clock)
        await restoration.begin()
        return restoration


@pytest.fixture
async def disaster(plant: HeldPlant, tmp_path: Path) -> AsyncIterator[Disaster]:
    disaster = Disaster(plant, tmp_path)
    yield disaster
    for storage in disaster.opened:
        await storage.close()


async def confirmed(plant: HeldPlant, restoration: Restoration) -> None:
    await plant.reconciliation.run_once()
    await restoration.look()
    done = await restoration.confirm(ANNA)
    assert done.ok, done


async def expect_sound(plant: HeldPlant) -> None:
    async with plant.database.read() as tx:
        found = await verify(tx)
    assert found.verified, found.problems


async def test_without_a_restore_nothing_is_different(plant, tmp_path):
    restoration = Restoration(tmp_path, plant.buying, plant.purchasing, plant.clock)
    await restoration.begin()
    await restoration.look()
    assert (restoration.told(), restoration.careful, plant.buying.stopped) == (None, False, False)
    assert (await restoration.confirm(ANNA)).code == "NOTHING_TO_CONFIRM"


async def test_a_restored_gateway_raises_quotes_judges_and_sends_nothing(plant, disaster):
    await plant.want(mode=Mode.ASK)
    await disaster.back_up()
    await disaster.strike()
    supplier = plant.suppliers["supplier-1"]
    asked = len(supplier.asked)
    assert plant.buying.is_stopped_by(Cause.RESTORED)
    assert await plant.want(life="life-2") is None
    assert await plant.purchasing.quote((await plant.requisition()).id) is None
    row = await plant.order()
    await plant.purchasing.judge_again(row.number)
    assert (await plant.approve()).ok
    await plant.passes(3)
    assert (len(supplier.asked), supplier.sent) == (asked, [])
    assert await plant.states() == ["approved"]


async def test_an_order_that_was_sent_after_the_backup_is_found_and_not_sent_again(plant, disaster):
    """In the backup it is approved: it could not be sent just then."""
    supplier = plant.suppliers["supplier-1"]
    away = UnavailableSupplier("supplier-1", plant.clock)
    plant.suppliers["supplier-1"] = away
    plant.restart()
    await plant.want()
    assert await plant.states() == ["approved"]
    await disaster.back_up()
    plant.suppliers["supplier-1"] = supplier
    plant.restart()
    plant.clock.forward(hours=1)
    await plant.passes(1)
    assert await plant.states() == ["confirmed"]
    restoration = await disaster.strike()
    assert await plant.states() == ["unknown"]
    row = await plant.order()
    assert (row.first_sent_at, row.last_sent_at) == (disaster.made_at, disaster.made_at)
    await confirmed(plant, restoration)
    await plant.passes(3)
    assert await plant.states() == ["confirmed"]
    assert len(supplier.bought) == len(supplier.sent) == 1
    await expect_sound(plant)


async def test_what_was_bought_after_the_backup_is_named_and_asks_a_person(plant, disaster):
    await disaster.back_up()
    await plant.want()
    number = (await plant.order()).number
    restoration = await disaster.strike()
    await restoration.look()
    told = restoration.told()
    assert told is not None
    assert [each["order"] for each in told["lost"]] == [number]
    assert told["entries_lost"] > 0
    assert "toolcrib restored --confirm" in plant.buying.sentence
    assert not restoration.careful
    await confirmed(plant, restoration)
    assert restoration.careful
    assert not plant.buying.stopped
    plant.clock.forward(days=CAREFUL.days)
    assert not restoration.careful
    await expect_sound(plant)


@pytest.mark.parametrize("marked", [True, False])
async def test_no_order_number_is_drawn_twice(plant, disaster, marked):
    await disaster.back_up()
    await plant.want()
    drawn = numbers.parse((await plant.order()).number).counter
    await disaster.strike(marked=marked)
    async with plant.database.write() as tx:
        again = numbers.parse(await numbers.draw(tx, plant.owner)).counter
    assert again > drawn
    assert again == (drawn if marked else 0) + JUMP + 1


async def test_without_a_mark_numbers_are_asked_until_nobody_knows_any_for_long(plant, disaster):
    await disaster.back_up()
    for life in ("life-1", "life-2"):
        await plant.want(life=life)
        async with plant.database.write() as tx:  # numbers whose orders never left leave gaps
            for _ in range(SILENCE - 1):
                await numbers.draw(tx, plant.owner)
    restoration = await disaster.strike(marked=False)
    await restoration.look()
    note = restoration.note
    assert note is not None
    assert [each.order for each in note.lost] == plant.suppliers["supplier-1"].bought
    assert note.lost_size is None


async def test_an_order_that_waits_here_and_was_sent_is_cancelled(plant, disaster):
    await plant.want(mode=Mode.ASK)
    await disaster.back_up()
    await plant.approve()
    assert await plant.states() == ["confirmed"]
    restoration = await disaster.strike()
    await restoration.look()
    assert await plant.states() == ["cancelled"]
    await confirmed(plant, restoration)
    assert await plant.want(mode=Mode.ASK) == ""  # its slot is held
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_an_order_that_waits_and_that_nobody_has_goes_on_waiting(plant, disaster):
    await plant.want(mode=Mode.ASK)
    await disaster.back_up()
    await confirmed(plant, await disaster.strike())
    assert await plant.states() == ["awaiting_approval"]
    assert (await plant.approve()).ok
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_a_want_that_was_open_asks_a_person_as_it_may_have_been_bought(plant, disaster):
    plant.suppliers["supplier-1"].valid_for = timedelta(seconds=-1)  # no offer that holds: it stays needed
    await plant.want()
    assert (await plant.requisition()).state == "needed"
    plant.suppliers["supplier-1"].valid_for = timedelta(days=14)
    await disaster.back_up()
    await confirmed(plant, await disaster.strike())
    plant.clock.forward(days=1)
    await plant.passes(1)
    assert await plant.states() == ["awaiting_approval"]
    assert (await plant.order()).rule == "MODE_ASK"


async def test_whoever_cannot_be_asked_is_named_and_whoever_could_not_is_asked_again(plant, disaster):
    supplier, clock = plant.suppliers["supplier-1"], plant.clock
    blind, silent = AcceptingSupplier("blind", clock, capabilities=BLIND), SilentSupplier("silent", clock)
    plant.suppliers |= {"blind": blind, "silent": silent}
    await disaster.back_up()
    restoration = await disaster.strike()
    await restoration.look()
    assert restoration.note is not None
    assert restoration.note.unasked == ("blind", "silent")
    plant.suppliers["silent"] = AcceptingSupplier("silent", clock)
    await restoration.look()
    assert restoration.note.unasked == ("blind",)
    asked: list[str] = []

    async def find(reference: str) -> None:
        asked.append(reference)

    supplier.find = find
    await restoration.look()
    assert asked == []


async def test_nobody_confirms_before_suppliers_were_asked_nor_twice(plant, disaster):
    await disaster.back_up()
    restoration = await disaster.strike()
    assert (await restoration.confirm(ANNA)).code == "STILL_LOOKING"
    await restoration.look()
    assert (await restoration.confirm(ANNA)).code == "RESTORE_CONFIRMED"
    assert (await restoration.confirm(ANNA)).code == "NOTHING_TO_CONFIRM"


async def test_a_second_start_doubts_nothing_again_and_remembers_the_confirmation(plant, disaster):
    await disaster.back_up()
    restoration = await disaster.strike()
    again = await disaster.start()
    async with plant.database.read() as tx:
        kinds = (await tx.exec_driver_sql("SELECT kind FROM audit_leaf")).scalars().all()
    assert kinds.count(restored.KIND) == 1
    await again.look()
    await again.confirm(ANNA)
    plant.buying.resume(Cause.RESTORED)
    last = await disaster.start()
    assert last.careful
    assert not plant.buying.stopped
    assert restoration.note is not None
    assert restoration.note.id == again.note.id if again.note else False


def test_a_note_comes_back_as_it_was(tmp_path, now):
    note = Restored(now, now, 3, 1, 9, 4, True, (Lost("TC-G1-000001-X", "kontor", "1.00 EUR"),), ("blind",), now)
    save_note(tmp_path, note)
    assert load_note(tmp_path) == note
    assert load_note(tmp_path / "elsewhere") is None


async def test_a_note_that_cannot_be_read_starts_nothing(plant, tmp_path):
    (tmp_path / restored.NOTE).write_text("{")
    with pytest.raises(StorageBroken, match="what was restored"):
        await Restoration(tmp_path, plant.buying, plant.purchasing, plant.clock).begin()


async def test_an_order_waiting_at_a_supplier_that_is_gone_goes_on_waiting(plant, disaster):
    await plant.want(mode=Mode.ASK)
    await disaster.back_up()
    restoration = await disaster.strike()
    del plant.suppliers["supplier-1"]
    await restoration.look()
    assert await plant.states() == ["awaiting_approval"]


async def test_entries_are_lost_to_a_witness_only_while_a_restore_is_fresh(plant, disaster, tmp_path):
    plain = Restoration(tmp_path, plant.buying, plant.purchasing, plant.clock)
    await plain.begin()
    assert (plain.lost_from(), plain.confirmed) == ((None, "NOTHING_TO_CONFIRM"), False)
    await disaster.back_up()
    restoration = await disaster.strike()
    assert restoration.lost_from() == (None, "STILL_LOOKING")
    await restoration.look()
    assert (restoration.lost_from(), restoration.confirmed) == ((disaster.size, ""), False)
    await restoration.confirm(ANNA)
    assert (restoration.lost_from(), restoration.confirmed) == ((disaster.size, ""), True)
    plant.clock.forward(days=CAREFUL.days)
    assert restoration.lost_from() == (None, "NOTHING_TO_CONFIRM")
