"""What a policy says about things that the config does not have is a mistake: it would protect nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway import starter
from gateway.config import Config, load
from gateway.demo import plant
from gateway.policy_file import parse_policy
from gateway.yaml_file import Mistakes
from tests.unit.gateway.demo.test_plant import written


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(written(tmp_path))


def complaints(config: Config, **changes: Any) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        parse_policy(json.dumps(plant.policy() | changes, indent=1), config)
    return [str(mistake).split(": ", 1)[1] for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"scope": "machine", "key": "mil"}, "did you mean 'mill'"),
        ({"scope": "component", "key": "mill/coolent"}, "did you mean 'mill/coolant'"),
        ({"scope": "supplier", "key": "kontour"}, "did you mean 'kontor'"),
        ({"scope": "category", "key": "tools"}, "is not known here"),
        ({"scope": "plant", "amount": "5 USD"}, "no rate is pinned"),
        ({"scope": "plant", "per": "week"}, "is not written as it must be"),
        ({"scope": "plant", "key": "x"}, "names no key"),
    ],
)
def test_a_limit_that_protects_nothing_is_a_mistake(config, limit, said):
    [complaint] = complaints(config, limits=[{"per": "day", "amount": "5 EUR"} | limit])
    assert said in complaint


def test_an_orders_category_must_be_there_too(config):
    [complaint] = complaints(config, limits=[{"scope": "order", "category": "tools", "amount": "5 EUR"}])
    assert "is not known here" in complaint


def test_the_calendar_is_the_sites(config):
    assert "is not the site's time zone, Europe/Berlin" in complaints(config, time_zone="UTC")[0]


def test_a_limit_in_a_currency_with_a_pinned_rate_is_no_mistake(config):
    rates = {"base": "EUR", "good_for_days": 30, "of": {"USD": {"rate": "0.92", "dated": "2026-03-01"}}}
    limits = [{"scope": "plant", "per": "total", "amount": "5 USD"}]
    _file, policy = parse_policy(json.dumps(plant.policy() | {"rates": rates, "limits": limits}), config)
    assert policy.limits[0].measure == "USD"


def test_a_rate_may_be_written_as_people_write_yaml(config):
    text = """
schema: 1
rates:
  base: EUR
  good_for_days: 30
  of: {USD: {rate: "0.92", dated: 2026-03-01}}
"""
    _file, policy = parse_policy(text, config)
    assert policy.rates.of["USD"].dated.isoformat() == "2026-03-01"


def test_what_the_starter_keeps_in_comments_is_valid(config):
    """Whoever takes the marks away has a policy that counts."""
    text = starter.POLICY.format(file="policy.yaml", person=plant.PERSON, until="2099-12-31T00:00:00Z")
    begin, end = text.index("# limits:"), text.index("\namounts: net")
    opened = text[:begin] + text[begin:end].replace("\n# ", "\n").replace("# limits:", "limits:", 1) + text[end:]
    opened = opened.replace("category: tools, ", "")
    _file, policy = parse_policy(opened, config)
    assert len(policy.limits) == 4
    assert policy.rates is not None
    assert policy.checks.supplier_orders.day == 60
