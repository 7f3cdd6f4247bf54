import asyncio
import random
import re
import uuid
from pathlib import Path

from marketplace import identity

PACKAGES = Path(__file__).parents[3]


def test_ids_and_keys_are_new_each_time():
    assert len({identity.new_id() for _ in range(1_000)} | {identity.new_key() for _ in range(1_000)}) == 2_000
    assert re.fullmatch(r"[0-9a-f]{32}", identity.new_id())
    assert uuid.UUID(identity.new_key()).version == 4


async def test_a_simulation_draws_them_from_its_seed_and_its_tasks_do():
    async def three() -> list[str]:
        with identity.drawing_from(random.Random(7).randbytes):
            return [identity.new_id(), identity.new_key(), await asyncio.create_task(later())]

    async def later() -> str:
        return identity.new_id(8)

    first = await three()
    assert first == await three()
    assert identity.new_id(8) != first[2]


def test_nothing_that_ships_draws_from_a_seed():
    shipped = [path for name in ("gateway", "marketplace") for path in (PACKAGES / name).rglob("*.py")]
    calls = [path for path in shipped if "drawing_from(" in path.read_text() and path.name != "identity.py"]
    assert shipped
    assert calls == []


def test_nothing_in_the_marketplace_draws_past_it():
    past = re.compile(r"^import (secrets|uuid)|secrets\.token|uuid4\(", re.MULTILINE)
    product = [path for path in (PACKAGES / "marketplace").rglob("*.py") if path.parent.name != "simulator"]
    assert [path.name for path in product if past.search(path.read_text())] == ["identity.py"]
