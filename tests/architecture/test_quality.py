"""Every connector says, rule by rule, which test shows that it keeps it, or why the rule is none of its."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CONNECTORS = ("opcua", "modbus")
RULES = (
    "contract",
    "settings-checked",
    "source-time-kept",
    "status-to-quality",
    "words-and-structures",
    "provenance",
    "identity-pinned",
    "order-kept",
    "losses-counted",
    "gaps-filled",
    "restart-survived",
    "neighbours-unharmed",
    "adjusted-live",
    "hostile-peer-bounded",
    "decoder-fuzzed",
    "cost-measured",
)


@pytest.mark.parametrize("connector", CONNECTORS)
def test_every_rule_is_answered_and_every_named_test_is_there(connector: str):
    said = YAML(typ="safe").load((ROOT / "connectors" / connector / "quality.yaml").read_text())
    assert list(said) == list(RULES)
    for rule, shown in said.items():
        if isinstance(shown, dict):
            assert list(shown) == ["not-applicable"], rule
            assert len(shown["not-applicable"]) > 20, rule
            continue
        file, _colons, name = shown.partition("::")
        path = ROOT / file
        assert path.is_file(), (rule, file)
        if name:
            assert re.search(rf"(def|class) {re.escape(name)}\b", path.read_text()), (rule, name)
