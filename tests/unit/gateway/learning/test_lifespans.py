"""What lives of wear by use teach is told in shares of each part's own rating, and none is judged by itself."""

from __future__ import annotations

from dataclasses import replace

from gateway.learning.lifespans import outlived, shares
from gateway.learning.rules import by_usage
from gateway.learning.trial import Trial
from tests.unit.gateway.learning.plants import COSTS, seals


def test_lives_are_told_in_shares_of_what_each_component_is_rated_for():
    task = seals([900.0, 500.0])
    assert [life.use for _name, life in shares(task)] == [0.9, 0.5]
    assert shares(replace(task, cases={})) == []
    assert task.cases["press/seal"].rated == 1000.0


def test_a_life_is_believed_by_what_the_others_showed():
    task = seals([3800.0, 4100.0, 3900.0, 4000.0, 10.0])
    case, short = task.cases["press/seal"], task.closed[-1]
    trial = Trial(short, case, COSTS, short.ran, by_usage(short, case))
    believing, median = outlived(trial, shares(task))
    assert median > 2500.0
    assert (believing(10.0).remaining_use(0.5), median) > (trial.rule(10.0).remaining_use(0.5), 0)  # type: ignore[union-attr]
    assert outlived(trial, shares(task)[:-1])[1] == median
