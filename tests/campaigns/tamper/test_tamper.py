"""A short run of the tamper campaign; ten thousand samples are for `python -m tests.campaigns.tamper`."""

from __future__ import annotations

import pytest

from tests.campaigns.tamper.campaign import ACTS, named, tamper
from tests.campaigns.tamper.evidence import gather


@pytest.mark.long
async def test_all_that_is_tampered_with_is_found_with_its_place(tmp_path):
    evidence = await gather(tmp_path, purchases=8, apart=2)
    assert await tamper(evidence, tmp_path, range(6 * len(ACTS)), seed=1) == []


def test_a_sentence_names_its_places():
    assert named("leaves 3 to 5 are missing") == [range(3, 6)]
    assert named("leaf 7 was changed") == [range(7, 8)]
