"""Many runs of the stateful test in one process, from one seed."""

from __future__ import annotations

import traceback

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.campaigns.stateful.machine import MoneyCore

STEPS = 30


def campaign(runs: int, start: int) -> tuple[int, int, str]:
    """Return how many runs there were, how many overspent, and what broke ("" for nothing)."""
    settled = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(start)(MoneyCore), settings=settled)
    except Exception:
        return MoneyCore.runs, MoneyCore.overspent, traceback.format_exc()
    return MoneyCore.runs, MoneyCore.overspent, ""
