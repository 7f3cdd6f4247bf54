"""Recorded cutting tools: their wear, told from the controller's signals by models that never saw the tool.

The goal is a mean absolute error of 50 micrometres; flank wear ends a tool's life at 300 (ISO 3685).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.benchmarks.toolwear import measure

SHARED = os.environ.get("TOOLCRIB_SHARED")
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(SHARED is None, reason="TOOLCRIB_SHARED does not say where the recordings are"),
]


def test_wear_of_a_tool_left_out_is_told_within_50_micrometres():
    found = measure(Path(SHARED or "") / "data" / "tool_wear_vicomtech")
    assert found["tools"] == 13
    assert found["mae_um"] <= 42.0
    assert found["mae_mean_of_tools_um"] <= 42.0
    assert 0.88 <= found["coverage_90"] <= 0.97
    assert found["known"] >= 0.9
