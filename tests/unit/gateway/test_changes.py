from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.views.changes import changes, sentence
from maintenance.needs import Belief, Provenance
from marketplace.sensitivity import Change, Input
from marketplace.stakes import Supply
from marketplace.timing import Costs, TimingTerms

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
TERMS = TimingTerms(
    14 * DAY, timedelta(hours=8), timedelta(hours=1), None, Costs("EUR", 400, 900, 180, 0), (Supply("a", 0, (1,)),)
)


def said(change: Change, terms: TimingTerms = TERMS) -> str:
    return sentence(change, terms, NOW, ZONE).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(Input.LEAD_TIME, 96, 336, False, None), "It could wait if a part took 4 d to come instead of 14 d."),
        (
            Change(Input.APPROVAL, 12, 8, True, NOW),
            "It would be due at once if an approval took 12 h instead of 8 h.",
        ),
        (
            Change(Input.STANDSTILL, 90, 180, False, NOW + 9 * DAY, "EUR"),
            "It could wait until 2026-03-11 if an hour of standstill cost 90.00 EUR instead of 180 EUR, and a failure "
            "50 % less.",
        ),
        (
            Change(Input.PRICE, 1480, 400, False, NOW + timedelta(hours=2), "EUR"),
            "It could wait if the part cost 1,480 EUR instead of 400 EUR, and keeping it 270 % more.",
        ),
        (
            Change(Input.REMAINING, 0.85, 1, True, NOW),
            "It would be due at once if what is left of its life were 15 % shorter.",
        ),
        (
            Change(Input.REMAINING, 2.24, 1, False, None),
            "It could wait if what is left of its life were 2.24 times as long.",
        ),
    ],
)
def test_a_change_is_one_sentence_with_both_figures(change, words):
    assert said(change) == words


def test_where_several_deliver_all_their_lead_times_are_meant():
    both = replace(TERMS, supplies=(*TERMS.supplies, Supply("b", 0, (2,))))
    told = said(Change(Input.LEAD_TIME, 168, 336, False, None), both)
    assert told == "It could wait if every supplier took 0.5 times as long to deliver."


def test_where_an_hour_costs_nothing_the_failure_itself_is_meant():
    still = replace(TERMS, costs=Costs("EUR", 400, 900, 0, 0))
    told = said(Change(Input.STANDSTILL, 700, 500, True, NOW, "EUR"), still)
    assert told == (
        "It would be due at once if a failure cost 700 EUR more than a planned replacement instead of 500 EUR."
    )


async def test_they_are_computed_from_the_belief_and_the_terms():
    belief = Belief.of([0, 9000], [1, 0], unit="h", use_per_hour=1.0, as_of=NOW, provenance=Provenance.A)
    ceiling = TimingTerms(14 * DAY, timedelta(hours=8), timedelta(hours=1), 0.05)
    told = await changes(belief, ceiling, NOW, ZONE)
    assert told == [
        "It would be due at once if a part took 18.4 d to come instead of 14 d.",
        "It would be due at once if what is left of its life were 24 % shorter.",
    ]
