"""What a want was raised on comes back from its text to the same bits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.needs import Belief, Evidence, Provenance
from marketplace.openings import Openings
from marketplace.ordering.reason import (
    award_terms,
    evidence_of,
    read_belief,
    reason_for,
    reason_text,
    recorded,
    weighed,
    write_belief,
)
from marketplace.settings import BuyingSettings, TimingSettings
from marketplace.stakes import Supply
from marketplace.timing import Held, TimingTerms, Weighed, advise
from tests.unit.marketplace.fakes import LINE, a_need, advice

ECONOMICS = BuyingSettings.model_validate({"lead_time": "5 d", "price": "60 EUR", "standstill": "900 EUR/h"})
TERMS = TimingTerms(timedelta(days=5), timedelta(hours=8), timedelta(seconds=0.25), 0.1)


def test_what_an_award_weighs_comes_back(now):
    need = a_need(now)
    told = json.loads(reason_text(reason_for(need, LINE, advice(now), ECONOMICS)))
    terms = award_terms(told, timedelta(hours=8))
    assert (terms.standstill, terms.holding) == (ECONOMICS.standstill, ECONOMICS.holding_rate)
    assert terms.approval == timedelta(hours=8)
    assert terms.belief.survival.tolist() == need.belief.survival.tolist()


def test_it_says_what_wore_what_timing_said_and_what_things_cost(now):
    told = reason_for(a_need(now), LINE, advice(now), ECONOMICS)
    assert told["job"] == "Replace the spindle bearing"
    assert told["kind"] == str(LINE.kind)
    assert (told["code"], told["parameters"]["probability"]) == ("FAILURE_BEFORE_ARRIVAL", "0.6100")
    assert told["evidence"] == [{"code": "LEVEL_NEAR_LIMIT", "parameters": {"tag": "mill/spindle-vibration"}}]
    assert told["price"] == "60.00 EUR"


def test_it_leaves_out_what_people_said_in_words_that_must_be_erasable(now):
    said = Evidence("REPORTED", {"symptom": "squeals", "by": "ben", "at": "2026-03-02"})
    noted = Evidence("NOTED", {"symptom": "Ben was at it", "by": "ben", "at": "2026-03-02"})
    told = reason_for(replace(a_need(now), evidence=(said, noted)), LINE, advice(now), ECONOMICS)
    assert [each["code"] for each in told["evidence"]] == ["REPORTED"]


def test_its_text_is_sorted_and_keeps_letters_as_people_write_them():
    assert reason_text({"b": "Größe", "a": 1}) == '{"a": 1, "b": "Größe"}'


COSTLY = TimingSettings().terms(ECONOMICS, patience=1.5)
OPENINGS = Openings(((0.0, 3.5), (94.25, 98.0)), 7200.0)
UNDER_WAY = Held(Supply("north", 0.0, (5.5, 70.0), (0.75, 0.25)))


@pytest.mark.parametrize(
    "terms",
    [
        TERMS,
        COSTLY,
        replace(COSTLY, openings=OPENINGS, supplies=(Supply("north", 7.5, (5.0, 6.0), price=3.0), *COSTLY.supplies)),
        replace(COSTLY, held=Held(Supply("", 0.0, (0.0,)), bought=False), openings=OPENINGS),
        replace(COSTLY, held=UNDER_WAY, life_shape=3.0),
        replace(COSTLY, openings=replace(OPENINGS, once=((400.0, 420.5),))),
    ],
)
def test_what_timing_weighed_comes_back(now, terms):
    need = a_need(now)
    said = advise(need.belief, terms, now + timedelta(microseconds=1))
    told = json.loads(reason_text(reason_for(need, LINE, said, ECONOMICS)))
    assert weighed(told) == Weighed(terms, now + timedelta(microseconds=1)) == said.weighed
    assert advise(read_belief(told["belief"]), weighed(told).terms, weighed(told).now) == said


def test_what_a_want_was_raised_on_comes_back_whole(now):
    need, said = a_need(now), advice(now)
    told = json.loads(reason_text(reason_for(need, LINE, said, ECONOMICS)))
    found = recorded("mill/spindle-bearing", "life-1", told)
    assert (found.component, found.life, found.health) == ("mill/spindle-bearing", "life-1", need.health)
    assert (found.evidence, found.weighed, found.figures) == (need.evidence, said.weighed, said.parameters)
    assert found.belief.survival.tolist() == need.belief.survival.tolist()


@pytest.mark.parametrize("missing", ["belief", "timing"])
def test_a_reason_with_too_little_in_it_gives_no_record(now, missing):
    told = reason_for(a_need(now), LINE, advice(now), ECONOMICS)
    assert recorded("c", "l", {key: value for key, value in told.items() if key != missing}) is None
    assert evidence_of({}) == ()


def test_a_reason_of_an_older_version_has_no_health(now):
    told = reason_for(a_need(now), LINE, advice(now), ECONOMICS)
    found = recorded("c", "l", {key: value for key, value in told.items() if key not in ("health", "parameters")})
    assert (found.health, found.figures) == (None, {})


def test_a_reason_from_before_there_were_costs_is_decided_by_its_ceiling(now):
    need = a_need(now)
    told = reason_for(need, LINE, advise(need.belief, TERMS, now), ECONOMICS)
    told["timing"] = {
        key: told["timing"][key] for key in told["timing"] if key not in ("costs", "supplies", "patience")
    }
    del told["belief"]["life"]
    assert weighed(told).terms == TERMS
    assert read_belief(told["belief"]).life is None


def test_what_nobody_recorded_is_not_made_up():
    with pytest.raises(KeyError):
        weighed({"belief": {}})


@given(
    steps=st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=20),
    scale=st.floats(0.1, 1e4),
    per_hour=st.floats(1e-6, 1e6),
)
def test_every_bit_of_a_belief_comes_back(steps, scale, per_hour):
    now = datetime(2026, 3, 2, 8, 0, 0, 1, tzinfo=UTC)
    use = np.concatenate(([0.0], np.cumsum(steps)))
    belief = Belief.of(use, np.exp(-use / scale), unit="h", use_per_hour=per_hour, as_of=now, provenance=Provenance.B)
    kept = read_belief(json.loads(json.dumps(write_belief(belief))))
    assert kept.use.tobytes() == belief.use.tobytes()
    assert kept.survival.tobytes() == belief.survival.tobytes()
    assert (kept.unit, kept.use_per_hour, kept.as_of) == ("h", per_hour, now)
    assert (kept.provenance, kept.known) == (Provenance.B, True)


def test_what_is_not_known_stays_so(now):
    belief = a_need(now, known=False, provenance=Provenance.A).belief
    kept = read_belief(write_belief(belief))
    assert (kept.known, kept.provenance) == (False, Provenance.A)
