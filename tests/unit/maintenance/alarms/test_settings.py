"""What a config says about alarms: with units, and every mistake at its own path."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from maintenance.alarms.kinds import KINDS, AlarmKind, Consequence, LimitUnit
from maintenance.alarms.rules import USUAL, Said
from maintenance.alarms.settings import (
    ComponentAlarms,
    KindSettings,
    ShareSettings,
    SiteAlarms,
    TimeSettings,
    rules_of,
)

SITE_ONLY = {AlarmKind.CONNECTION_LOST, AlarmKind.TAG_UNREADABLE}
MODELS = {LimitUnit.NONE: KindSettings, LimitUnit.SHARE: ShareSettings, LimitUnit.TIME: TimeSettings}


def test_every_kind_can_be_set_in_the_unit_that_it_measures():
    for code, kind in KINDS.items():
        model = MODELS[kind.unit]
        assert SiteAlarms.model_fields[code.value].annotation == model | None, code
        assert (code.value in ComponentAlarms.model_fields) is (code not in SITE_ONLY), code


def test_nothing_has_to_be_said():
    rules = rules_of(SiteAlarms(), {"mill/bearing": ComponentAlarms()})
    assert rules.of("mill/bearing").terms == rules.of("elsewhere").terms == USUAL


def test_limits_and_delays_are_read_with_their_units_and_written_again():
    said = ComponentAlarms.model_validate(
        {
            "health_low": {"limit": "30 %", "band": "2.5 %", "on_delay": "90 s"},
            "decide_by_near": {"limit": "2 d", "off_delay": "1 h", "enabled": False},
            "consequence": "severe",
        }
    )
    assert said.said() == {
        AlarmKind.HEALTH_LOW: Said(limit=0.3, band=0.025, on_delay=timedelta(seconds=90)),
        AlarmKind.DECIDE_BY_NEAR: Said(enabled=False, limit=48.0, off_delay=timedelta(hours=1)),
    }
    assert said.said_of().consequence is Consequence.SEVERE
    assert ComponentAlarms.model_validate(said.model_dump(mode="json")) == said


@pytest.mark.parametrize(
    ("wrong", "path", "sentence"),
    [
        ({"health_low": {"limit": "30 h"}}, "health_low.limit", "is no share"),
        ({"health_low": {"limit": "130 %"}}, "health_low.limit", "is no share"),
        ({"health_low": {"limit": "30"}}, "health_low.limit", "needs a number with its unit"),
        ({"decide_by_near": {"limit": "3 mm"}}, "decide_by_near.limit", "no span of time"),
        ({"decide_by_near": {"limit": "-3 h"}}, "decide_by_near.limit", "below zero"),
        ({"health_low": {"on_delay": "400 d"}}, "health_low.on_delay", "30 days"),
        ({"health_low": {"off_delay": "-1 s"}}, "health_low.off_delay", "30 days"),
        ({"new_part_proposed": {"limit": "3 d"}}, "new_part_proposed.limit", "not permitted"),
        ({"connection_lost": {}}, "connection_lost", "not permitted"),
        ({"consequence": "dreadful"}, "consequence", "severe"),
    ],
)
def test_a_mistake_is_said_where_it_stands(wrong, path, sentence):
    with pytest.raises(ValidationError) as caught:
        ComponentAlarms.model_validate(wrong)
    [error] = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == path
    assert sentence in error["msg"]
