from datetime import timedelta

import pytest
from sqlalchemy import func, select

from gateway.web import accounts
from gateway.web.accounts import IDLE_LIFE, LINK_LIFE, LINKS_MAX, SESSION_LIFE

SECOND = timedelta(seconds=1)


@pytest.fixture
async def tx(spend):
    async with spend.write() as connection:
        await connection.run_sync(accounts.metadata.create_all)
        yield connection


async def test_a_link_opens_one_session_for_its_person_and_no_second_one(tx, owner, now):
    secret = await accounts.issue_link(tx, owner, "anna", now)
    assert (await accounts.sign_in(tx, owner, secret, now)).person == "anna"
    assert await accounts.sign_in(tx, owner, secret, now) is None


async def test_looking_at_a_link_does_not_use_it_up(tx, owner, now):
    secret = await accounts.issue_link(tx, owner, "anna", now)
    for _look in range(3):
        assert await accounts.person_of_link(tx, owner, secret, now) == "anna"
    assert await accounts.sign_in(tx, owner, secret, now) is not None


async def test_a_link_ends_after_ten_minutes(tx, owner, now):
    secret = await accounts.issue_link(tx, owner, "anna", now)
    assert await accounts.person_of_link(tx, owner, secret, now + LINK_LIFE) is None
    assert await accounts.sign_in(tx, owner, secret, now + LINK_LIFE) is None
    assert await accounts.sign_in(tx, owner, secret, now + LINK_LIFE - SECOND) is not None


async def test_neither_secret_is_stored(tx, owner, now):
    link = await accounts.issue_link(tx, owner, "anna", now)
    stored = repr((await tx.execute(select(accounts.sign_in_link))).all())
    opened = await accounts.sign_in(tx, owner, link, now)
    stored += repr((await tx.execute(select(accounts.session))).all())
    assert link not in stored
    assert opened.secret not in stored
    assert opened.form_token not in stored


async def test_a_person_has_a_bounded_number_of_open_links_and_the_newest_work(tx, owner, now):
    secrets = [await accounts.issue_link(tx, owner, "anna", now + index * SECOND) for index in range(LINKS_MAX + 3)]
    assert (await tx.execute(select(func.count()).select_from(accounts.sign_in_link))).scalar_one() == LINKS_MAX
    assert await accounts.person_of_link(tx, owner, secrets[0], now) is None
    assert await accounts.person_of_link(tx, owner, secrets[-1], now) == "anna"


async def test_a_session_ends_when_nobody_used_it(tx, owner, now):
    opened = await accounts.sign_in(tx, owner, await accounts.issue_link(tx, owner, "anna", now), now)
    assert await accounts.session_of(tx, owner, opened.secret, now + IDLE_LIFE - SECOND) is not None
    assert await accounts.session_of(tx, owner, opened.secret, now + IDLE_LIFE) is None


async def test_a_session_ends_after_a_shift_however_busy_it_was(tx, owner, now):
    opened = await accounts.sign_in(tx, owner, await accounts.issue_link(tx, owner, "anna", now), now)
    for hours in range(1, 12):
        await accounts.touch(tx, opened, now + timedelta(hours=hours))
        assert await accounts.session_of(tx, owner, opened.secret, now + timedelta(hours=hours)) is not None
    assert await accounts.session_of(tx, owner, opened.secret, now + SESSION_LIFE) is None


async def test_signing_out_ends_the_session(tx, owner, now):
    opened = await accounts.sign_in(tx, owner, await accounts.issue_link(tx, owner, "anna", now), now)
    await accounts.sign_out(tx, opened)
    assert await accounts.session_of(tx, owner, opened.secret, now) is None


async def test_a_form_token_is_good_for_its_own_session_only(tx, owner, now):
    one, other = [
        await accounts.sign_in(tx, owner, await accounts.issue_link(tx, owner, "anna", now), now) for _ in range(2)
    ]
    assert one.accepts(one.form_token)
    assert not one.accepts(other.form_token)
    assert not one.accepts("")
    assert not one.accepts("é")
