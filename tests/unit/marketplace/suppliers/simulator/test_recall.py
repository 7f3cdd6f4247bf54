from datetime import timedelta

from marketplace.suppliers.contract import NOW
from marketplace.suppliers.simulator.recall import Recall

HOUR = timedelta(hours=1)


def test_by_default_everything_is_known_at_once_and_for_ever():
    assert Recall().knows_key(NOW, NOW + timedelta(days=36_500))
    assert Recall().in_index(NOW, NOW)


def test_a_key_is_known_for_its_lifetime_and_no_longer():
    recall = Recall(keys=HOUR)
    assert recall.knows_key(NOW, NOW + HOUR - timedelta.resolution)
    assert not recall.knows_key(NOW, NOW + HOUR)


def test_who_looks_at_no_keys_knows_none():
    assert not Recall(keys=None).knows_key(NOW, NOW)


def test_the_index_lags_by_its_lag_and_no_longer():
    recall = Recall(lookup_lag=HOUR)
    assert not recall.in_index(NOW, NOW + HOUR - timedelta.resolution)
    assert recall.in_index(NOW, NOW + HOUR)
