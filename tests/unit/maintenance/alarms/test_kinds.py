"""Every kind of alarm has an action, a time for it and a consequence, or there is no such kind."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import timedelta

import pytest

from maintenance.alarms.kinds import KINDS, AlarmKind, Consequence, Priority, priority_of, told

FIGURES = {"component", "tag", "connection", "value", "limit", "reason", "tags", "components"}


def test_every_kind_is_registered_with_an_action_a_time_and_a_consequence():
    assert set(KINDS) == set(AlarmKind)
    for code, kind in KINDS.items():
        assert kind.code is code
        for text in (kind.what, kind.action, kind.consequence):
            assert text.strip().endswith((".", "{reason}")), code
            assert {name for _text, name, _form, _how in string.Formatter().parse(text) if name} <= FIGURES
        assert kind.respond_within > timedelta(0)


@pytest.mark.parametrize("missing", ["what", "action", "consequence"])
@pytest.mark.parametrize("code", list(AlarmKind))
def test_a_kind_without_one_of_them_cannot_be_made(code, missing):
    with pytest.raises(ValueError, match=f"without '{missing}'"):
        replace(KINDS[code], **{missing: "  "})


@pytest.mark.parametrize(
    "wrong",
    [{"respond_within": timedelta(0)}, {"on_delay": timedelta(seconds=-1)}, {"off_delay": timedelta(-1)}, {"band": -1}],
)
def test_a_kind_with_impossible_times_cannot_be_made(wrong):
    with pytest.raises(ValueError, match="health_low"):
        replace(KINDS[AlarmKind.HEALTH_LOW], **wrong)


def test_worse_or_sooner_is_never_less_urgent():
    spans = [timedelta(hours=1), timedelta(days=2), timedelta(days=30)]
    for consequence in Consequence:
        given = [priority_of(consequence, span) for span in spans]
        assert given == sorted(given, reverse=True)
    for span in spans:
        given = [priority_of(each, span) for each in (Consequence.MINOR, Consequence.MODERATE, Consequence.SEVERE)]
        assert given == sorted(given)
    assert priority_of(Consequence.SEVERE, spans[0]) is Priority.CRITICAL


def test_a_figure_that_is_missing_is_a_question_mark_and_figures_are_never_formatted_again():
    assert told("{tag} is {odd}.", {"tag": "{odd}"}) == "{odd} is ?."
