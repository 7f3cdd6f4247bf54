import sqlite3
from pathlib import Path

import pytest

from gateway.buying import BuyingState, Cause, cause_of

SPEND = Path("data/spend.db")


def error(code: int, words: str = "words") -> sqlite3.OperationalError:
    found = sqlite3.OperationalError(words)
    found.sqlite_errorcode = code
    return found


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (sqlite3.SQLITE_FULL, Cause.REFUSED),
        (sqlite3.SQLITE_IOERR, Cause.REFUSED),
        (sqlite3.SQLITE_IOERR_FSYNC, Cause.REFUSED),
        (sqlite3.SQLITE_READONLY, Cause.REFUSED),
        (sqlite3.SQLITE_CANTOPEN, Cause.REFUSED),
        (sqlite3.SQLITE_CORRUPT, Cause.BROKEN),
        (sqlite3.SQLITE_NOTADB, Cause.BROKEN),
        (sqlite3.SQLITE_BUSY, None),
        (sqlite3.SQLITE_CONSTRAINT, None),
    ],
)
def test_what_an_error_means_for_buying_is_read_from_its_code(code, cause):
    assert cause_of(error(code)) is cause


def test_what_is_no_error_of_the_database_means_nothing():
    assert cause_of(ValueError()) is None
    assert cause_of(None) is None
    assert cause_of(sqlite3.OperationalError("made by hand")) is None


def test_a_full_disk_stops_buying_until_a_write_is_durable_again():
    state = BuyingState()
    assert (state.stopped, state.sentence) == (False, "")
    state.storage_failed(SPEND, error(sqlite3.SQLITE_FULL, "database or disk is full"))
    assert state.stopped
    assert "data/spend.db cannot be written (database or disk is full)" in state.sentence
    assert "buying goes on by itself" in state.sentence
    state.storage_works()
    assert not state.stopped
    state.storage_works()


def test_a_broken_file_stops_buying_whatever_can_be_written():
    state = BuyingState()
    state.storage_failed(SPEND, error(sqlite3.SQLITE_CORRUPT, "malformed"))
    state.storage_works()
    assert state.is_stopped_by(Cause.BROKEN)
    assert "do not delete it" in state.sentence


def test_an_error_that_says_nothing_about_the_disk_stops_nothing():
    state = BuyingState()
    state.storage_failed(SPEND, error(sqlite3.SQLITE_CONSTRAINT))
    assert not state.stopped


def test_causes_stand_beside_each_other_and_each_ends_by_itself():
    state = BuyingState()
    state.stop(Cause.RESTORED, "Restored.")
    state.stop(Cause.REFUSED, "Full.")
    assert state.sentence == "Full. Restored."
    state.stop(Cause.REFUSED, "Read-only.")
    assert state.sentence == "Read-only. Restored."
    state.resume(Cause.RESTORED)
    assert state.sentence == "Read-only."
