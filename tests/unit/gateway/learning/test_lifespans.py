"""What lives of wear by use teach is told in shares of each part's own rating, and none is judged by itself."""

from __future__ import annotations

import json
from dataclasses import replace

from gateway.learning.lifespans import by_clocks, document_of, lives_of, outlived, shares
from gateway.learning.rules import by_usage
from gateway.learning.trial import Trial
from maintenance.assets import Found
from tests.unit.gateway.learning.plants import COSTS, dies, seals


def test_lives_are_told_in_shares_of_what_each_component_is_rated_for():
    task = seals([900.0, 500.0])
    assert [life.use for _name, life in shares(task)] == [{"": 0.9}, {"": 0.5}]
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


def test_a_part_on_several_clocks_is_told_in_shares_of_each_and_a_part_that_was_half_used_up_ran_twice_as_long():
    task = dies([1000.0, 500.0], found=Found.HALF)
    assert [(life.use, life.failed) for _name, life in shares(task)] == [
        ({"hours": 2.0, "strokes": 0.2}, True),
        ({"hours": 1.0, "strokes": 0.1}, True),
    ]
    cut_short = dies([500.0], found=None)
    assert [(life.use, life.failed) for _name, life in shares(cut_short)] == [({"hours": 0.5, "strokes": 0.05}, False)]


def test_what_lives_taught_comes_back_from_its_document():
    for task in (seals([900.0, 500.0]), dies([1000.0, 500.0])):
        told = shares(task)
        document = json.loads(json.dumps(document_of(told, task.kind.by)))
        assert lives_of(document) == [life for _name, life in told]


def test_a_life_on_several_clocks_is_believed_by_what_the_others_showed():
    task = dies([3800.0, 4100.0, 3900.0, 4000.0, 10.0])
    case, short = task.cases["press/die"], task.closed[-1]
    trial = Trial(short, case, COSTS, short.ran, by_clocks(short, case))
    believing, usual = outlived(trial, shares(task))
    assert usual > 2500.0
    assert believing(10.0).remaining_use(0.5) > 2 * trial.rule(10.0).remaining_use(0.5)  # type: ignore[union-attr, operator]
    assert outlived(trial, shares(task)[:-1])[1] == usual
