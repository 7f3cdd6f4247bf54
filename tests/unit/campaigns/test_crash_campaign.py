from collections import Counter

import pytest

from tests.campaigns.crash.campaign import FIGURES, Campaign
from tests.campaigns.crash.season import Tally


def season(**figures) -> Tally:
    return Tally(kills=10, purchases=7, control_duplicates=2, points=Counter({"random": 10}), **figures)


def test_a_campaign_goes_on_where_an_earlier_run_ended(tmp_path):
    file = tmp_path / "campaigns" / "crash.json"
    for _run in range(2):
        campaign = Campaign.read(file, fresh=False)
        campaign.total.add(season())
        campaign.keep()
    total = Campaign.read(file, fresh=False).total
    assert (total.kills, total.purchases, total.points["random"]) == (20, 14, 20)
    assert Campaign.read(file, fresh=True).total.kills == 0


def test_a_run_that_is_cut_off_while_it_writes_leaves_the_sum_before(tmp_path):
    file = tmp_path / "crash.json"
    campaign = Campaign.read(file, fresh=False)
    campaign.total.add(season())
    campaign.keep()
    file.with_suffix(".new").write_text('{"format": 1, "tot')
    assert Campaign.read(file, fresh=False).total.kills == 10


def test_the_last_line_begins_with_the_figures_that_were_promised():
    campaign = Campaign(None)
    campaign.total.add(season())
    assert tuple(campaign.figures())[: len(FIGURES)] == FIGURES


@pytest.mark.parametrize("wrong", ["duplicates", "lost", "unreserved", "slow_stops"])
def test_one_wrong_is_enough(wrong):
    campaign = Campaign(None)
    campaign.total.add(season())
    assert campaign.held
    campaign.total.add(Tally(**{wrong: 1}))
    assert not campaign.held


def test_a_control_that_buys_nothing_twice_shows_nothing():
    campaign = Campaign(None)
    campaign.total.add(Tally(kills=10))
    assert not campaign.held


def test_a_problem_of_an_earlier_run_is_not_forgotten(tmp_path):
    campaign = Campaign(tmp_path / "crash.json")
    campaign.total.add(season(problems=["leaf 3 was changed"]))
    campaign.failures.append({"seed": 1})
    campaign.keep()
    again = Campaign.read(campaign.file, fresh=False)
    assert not again.held
    assert again.failures == [{"seed": 1}]
