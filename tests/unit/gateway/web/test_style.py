"""The style sheet's own colours, measured: WCAG 2.2 AA, by light and by dark."""

import re

import pytest

from gateway.web.render import HERE

CSS = (HERE / "static" / "app.css").read_text()
LIGHT, DARK = [
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))
    for part in CSS.split("@media (prefers-color-scheme: dark)")[:2]
]
TEXT = [
    *((ink, ground) for ink in ("ink", "soft") for ground in ("paper", "card", "sunk")),
    ("accent", "paper"), ("accent", "card"), ("accent", "accent-soft"), ("accent-deep", "card"), ("accent", "sunk"),
    ("on-accent", "accent"), ("on-accent", "accent-deep"), ("ink", "accent-soft"),
    *((kind, f"{kind}-soft") for kind in ("good", "fair", "poor", "run")),
    ("poor", "card"), ("poor", "paper"), ("fair", "card"),
]  # fmt: skip


def brightness(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_stands_out_from_its_ground(colours, ink, ground):
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("mark", ["accent", "fair-bar", "poor", "soft"])
def test_what_is_drawn_stands_out_from_the_card(colours, mark):
    assert contrast(colours[mark], colours["card"]) >= 3.0


def test_both_grounds_name_the_same_colours():
    assert set(LIGHT) == set(DARK)
    assert len(LIGHT) > 15
