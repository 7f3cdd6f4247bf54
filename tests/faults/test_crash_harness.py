"""A short campaign of the crash harness: real gateways are killed while they buy, and nothing is bought twice or lost.

The long ones are `python -m tests.campaigns.crash`. This one shows that the harness works, that its control buys
twice, and that the worst that a kill can meet is among what it meets.
"""

from __future__ import annotations

import pytest

from tests.campaigns.crash.campaign import Campaign, Runner

pytestmark = [pytest.mark.serial, pytest.mark.long, pytest.mark.timeout(200)]

KILLS = 12


def test_killed_again_and_again_it_buys_once_loses_nothing_and_a_naive_buyer_does_not():
    campaign = Campaign(None)
    Runner(campaign, KILLS, seed=11).run()
    total = campaign.total
    assert campaign.held, campaign.failures
    assert (total.duplicates, total.lost, total.unreserved) == (0, 0, 0)
    assert total.control_duplicates > 0
    assert total.kills == KILLS
    assert total.purchases > 0
