"""A short month at every `make test`; the long ones are `python -m tests.campaigns.simulation`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns.simulation.sabotage import KINDS
from tests.campaigns.simulation.world import simulate

ROOT = Path(__file__).parents[3]
AUDITED_AFTER = 0.4
"""Days: what only the verification at the end finds need not be waited for."""
FOUND_AS = {
    "releases-twice": "SUMS_DIFFER",
    "forgets-reservation": "MONEY_AND_STATE",
    "overspends": "OVER_LIMIT",
    "books-once": "RESERVATION_LOST",
    "lifts-stop": "STOP_IGNORED",
    "edits-audit": "AUDIT_VERIFY",
    "moves-aside": "MONEY_AND_STATE",
    "sends-without-permit": "NO_PERMIT",
    "resends-blindly": "PERMIT_REUSED",
    "edits-bytes": "OTHER_BYTES",
}


@pytest.mark.long
def test_days_of_faults_break_no_invariant():
    days = simulate(3, days=3)
    assert days.violations == ()
    assert days.purchases > 20
    assert sum(days.faults.values()) > 15


@pytest.mark.long
def test_one_seed_is_one_run_in_any_process():
    """Another process has other hashes of texts, another clock, other random numbers: none of them counts."""
    command = [sys.executable, "-m", "tests.campaigns.simulation", "--months", "1", "--seed", "5", "--days", "0.5"]
    there = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    told = json.loads(there.stdout.splitlines()[-1])
    here = simulate(5, days=0.5)
    assert (told["trace"], told["root"], told["events"]) == (here.trace, here.root, here.events)
    assert simulate(6, days=0.5).trace != here.trace


SELDOM = KINDS.keys() - {"none", "overspends", "books-once", "sends-without-permit"}
"""Bugs that are planted where there is more time."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=[pytest.mark.long] if each in SELDOM else [])
        for each in sorted(KINDS.keys() - {"none"})
    ],
)
def test_a_planted_bug_is_found(name: str):
    month = simulate(7, days={"edits-audit": AUDITED_AFTER, "overspends": 2}.get(name, 1), sabotage=name)
    assert FOUND_AS[name] in {each.code for each in month.violations}


def test_a_broken_invariant_is_told_with_what_replays_it():
    command = [sys.executable, "-m", "tests.campaigns.simulation", "--seed", "7", "--sabotage", "sends-without-permit"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["violations"] > 0
    assert "broken in event " in done.stderr
    assert "--months 1 --seed 7 --sabotage sends-without-permit" in done.stderr
