"""Patterns over browse paths."""

from __future__ import annotations

import pytest

from gateway.globs import matcher


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**", "a/b/c", True),
        ("Plant", "Plant/Area/Tag", True),
        ("Plant/*/Tag", "Plant/Area/Tag", True),
        ("Plant/*/Tag", "Plant/Area/Cell/Tag", False),
        ("Plant/**/Tag", "Plant/Area/Cell/Tag", True),
        ("Plant/**/Tag", "Plant/Tag", True),
        ("**/Power", "Machines/M-1/Power", True),
        ("**/Power", "Machines/M-1/Power2", False),
        ("**/Tag00?", "Plant/Tag001", True),
        ("**/Tag00?", "Plant/Tag0012", False),
        ("/Plant/**", "Plant/a", True),
        ("Pl", "Plant/a", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
    ],
)
def test_a_pattern_fits_whole_names(pattern: str, path: str, fits: bool):
    assert matcher([pattern])(path) is fits


def test_one_of_several_patterns_is_enough():
    fits = matcher(["a/*", "b"])
    assert (fits("a/x"), fits("b/y/z"), fits("c")) == (True, True, False)
