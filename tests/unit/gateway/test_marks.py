from dataclasses import replace
from pathlib import Path

import pytest

from gateway.marks import Mark, RolledBack, load_mark, mark_file, read_mark, require_not_older, save_mark
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.ordering import numbers

GATEWAY = Actor(ActorKind.GATEWAY, "G1", "policy")


async def grow(spend, owner, now, entries: int) -> None:
    async with spend.write() as tx:
        for index in range(entries):
            await log.append(tx, owner, "policy.applied", str(index), GATEWAY, {}, now)


async def mark_of(spend, owner) -> Mark:
    async with spend.read() as tx:
        return await read_mark(tx, owner)


async def check(spend, owner, path: Path) -> Mark:
    async with spend.read() as tx:
        return await require_not_older(tx, owner, path)


async def test_a_mark_says_how_far_log_and_numbers_have_come(spend, owner, now):
    empty = await mark_of(spend, owner)
    assert (empty.size, empty.last_order) == (0, 0)
    await grow(spend, owner, now, 3)
    async with spend.write() as tx:
        await numbers.draw(tx, owner)
    mark = await mark_of(spend, owner)
    assert (mark.plant, mark.gateway, mark.size, mark.last_order) == ("northworks", "G1", 3, 1)
    assert mark.root != empty.root


async def test_a_kept_mark_comes_back_as_it_was(spend, owner, now, tmp_path):
    await grow(spend, owner, now, 2)
    mark = await mark_of(spend, owner)
    save_mark(mark_file(tmp_path), mark)
    assert load_mark(mark_file(tmp_path)) == mark


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"plant": 1}', b"\xff\xfe"])
def test_what_is_no_mark_is_none(tmp_path, content):
    mark_file(tmp_path).write_bytes(content)
    assert load_mark(mark_file(tmp_path)) is None


def test_a_mark_without_figures_is_none(tmp_path):
    mark_file(tmp_path).write_text('{"plant": "p", "gateway": "g", "size": "1", "root": "", "last_order": 1}')
    assert load_mark(mark_file(tmp_path)) is None


async def test_the_same_and_a_longer_log_pass(spend, owner, now, tmp_path):
    await grow(spend, owner, now, 5)
    save_mark(mark_file(tmp_path), await mark_of(spend, owner))
    assert (await check(spend, owner, mark_file(tmp_path))).size == 5
    await grow(spend, owner, now, 7)
    assert (await check(spend, owner, mark_file(tmp_path))).size == 12


async def test_a_shorter_log_is_refused(spend, owner, now, tmp_path):
    await grow(spend, owner, now, 5)
    save_mark(mark_file(tmp_path), replace(await mark_of(spend, owner), size=6))
    with pytest.raises(RolledBack, match="5 audit entries, and there were 6"):
        await check(spend, owner, mark_file(tmp_path))


async def test_fewer_order_numbers_are_refused(spend, owner, now, tmp_path):
    save_mark(mark_file(tmp_path), replace(await mark_of(spend, owner), last_order=1))
    with pytest.raises(RolledBack):
        await check(spend, owner, mark_file(tmp_path))


@pytest.mark.parametrize("more", [0, 3])
async def test_another_history_is_refused_however_long(spend, owner, now, tmp_path, more):
    await grow(spend, owner, now, 5)
    save_mark(mark_file(tmp_path), replace(await mark_of(spend, owner), root="ab" * 32))
    await grow(spend, owner, now, more)
    with pytest.raises(RolledBack, match="is not the one"):
        await check(spend, owner, mark_file(tmp_path))


async def test_without_a_mark_or_with_another_gateways_nothing_is_compared(spend, owner, now, tmp_path):
    await grow(spend, owner, now, 1)
    assert (await check(spend, owner, mark_file(tmp_path))).size == 1
    save_mark(mark_file(tmp_path), Mark("elsewhere", "G9", 99, "", 99))
    assert (await check(spend, owner, mark_file(tmp_path))).size == 1
