"""What is said of a feature that cannot be meant, and what one means that can."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.samples import Measure
from maintenance.windows import FeatureSettings, Kind, feature, problems, unit_of

TAGS = {"raw": "m/s2", "raw_g": "g", "raw_v": "mm/s", "raw_bar": "bar", "plain": "m/s2", "speed": "rpm", "load": "%"}
WINDOWS = {"raw", "raw_g", "raw_v", "raw_bar"}
BEARING = {"balls": 9, "ball_diameter": "7.94 mm", "pitch_diameter": "39.04 mm", "contact_angle": "0 deg"}
VELOCITY: dict[str, Any] = {"from": "raw", "kind": "velocity_rms", "sampling_rate": "25600 Hz"}
ENVELOPE: dict[str, Any] = VELOCITY | {"kind": "envelope_bpfo", "bearing": BEARING, "shaft_speed": "speed"}
KURTOSIS: dict[str, Any] = VELOCITY | {"kind": "kurtosis"}
SPECTRUM: dict[str, Any] = {"from": "raw", "kind": "velocity_rms", "frequency_step": "1 Hz", "amplitudes": "peak"}


def said(settings: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    whole = {key: value for key, value in (settings | changes).items() if value is not None}
    return problems(FeatureSettings.model_validate(whole), TAGS, WINDOWS)


@pytest.mark.parametrize(
    "settings",
    [
        VELOCITY,
        VELOCITY | {"from": "raw_g", "unit": "in/s", "band": ["2 Hz", "1 kHz"]},
        VELOCITY | {"from": "raw_v"},
        KURTOSIS,
        KURTOSIS | {"from": "raw_g", "kind": "crest_factor", "unit": "1"},
        ENVELOPE,
        ENVELOPE | {"shaft_speed": "1480 rpm", "from": "raw_g", "unit": "m/s2", "kind": "envelope_bsf"},
        ENVELOPE | {"band": ["2 kHz", "8 kHz"], "harmonics": 5, "slip": "1 %"},
        SPECTRUM,
        SPECTRUM | {"kind": "envelope_ftf", "bearing": BEARING, "shaft_speed": "24.6 Hz"},
        SPECTRUM | {"kind": "acceleration_rms", "band": ["10 Hz", "10 kHz"]},
    ],
)
def test_what_can_be_meant_is_no_mistake(settings: dict[str, Any]):
    assert said(settings) == []
    assert feature(FeatureSettings.model_validate(settings), TAGS).window == settings["from"]


@pytest.mark.parametrize(
    ("settings", "changes", "path", "sentence"),
    [
        (VELOCITY, {"from": "rew"}, "from", "no tag rew; its windows are: raw, raw_bar, raw_g, raw_v"),
        (VELOCITY, {"from": "plain"}, "from", "write 'window: true' there"),
        (VELOCITY, {"from": "raw_bar"}, "from", "and raw_bar is in bar"),
        (VELOCITY, {"unit": "g"}, "unit", "velocity_rms is in m/s or mm/s or in/s, not in g"),
        (ENVELOPE, {"from": "raw_v"}, "from", "and raw_v is in mm/s"),
        (ENVELOPE, {"unit": "mm/s"}, "unit", "not in mm/s"),
        (KURTOSIS, {"unit": "g"}, "unit", "a ratio has no unit"),
        (VELOCITY, {"sampling_rate": None}, "kind", "one of the two"),
        (VELOCITY, {"frequency_step": "1 Hz"}, "kind", "one of the two"),
        (VELOCITY, {"sampling_rate": "25600 rpm"}, "sampling_rate", "write it in Hz or kHz"),
        (VELOCITY, {"sampling_rate": "0 Hz"}, "sampling_rate", "above nothing"),
        (VELOCITY, {"sampling_rate": "1600 Hz"}, "sampling_rate", "of at least 2000 Hz"),
        (VELOCITY, {"amplitudes": "peak"}, "amplitudes", "belongs to a spectrum"),
        (SPECTRUM, {"amplitudes": None}, "frequency_step", "'amplitudes: peak' or 'amplitudes: rms'"),
        (SPECTRUM, {"frequency_step": "-1 Hz"}, "frequency_step", "above nothing"),
        (SPECTRUM, {"kind": "kurtosis"}, "kind", "needs a raw window"),
        (VELOCITY, {"kind": "acceleration_rms"}, "kind", "needs a 'band'"),
        (VELOCITY, {"band": ["10 mm", "1 kHz"]}, "band.0", "write it in Hz"),
        (VELOCITY, {"band": ["1 kHz", "10 Hz"]}, "band", "to a higher one"),
        (VELOCITY, {"band": ["10 Hz", "20 kHz"]}, "band", "of at least 40000 Hz"),
        (KURTOSIS, {"band": ["10 Hz", "1 kHz"]}, "band", "the whole window is judged"),
        (VELOCITY, {"bearing": BEARING}, "bearing", "the kind is velocity_rms"),
        (VELOCITY, {"shaft_speed": "speed"}, "shaft_speed", "the kind is velocity_rms"),
        (ENVELOPE, {"bearing": None}, "kind", "needs the 'bearing'"),
        (ENVELOPE, {"bearing": BEARING | {"ball_diameter": "40 mm"}}, "bearing", "thinner than the circle"),
        (ENVELOPE, {"bearing": BEARING | {"ball_diameter": "7.94 rpm"}}, "bearing", "write it in mm or in"),
        (ENVELOPE, {"bearing": BEARING | {"contact_angle": "15 mm"}}, "bearing", "write it in deg"),
        (ENVELOPE, {"shaft_speed": None}, "kind", "needs the 'shaft_speed'"),
        (ENVELOPE, {"shaft_speed": "sped"}, "shaft_speed", "no tag sped"),
        (ENVELOPE, {"shaft_speed": "raw"}, "shaft_speed", "of a single number"),
        (ENVELOPE, {"shaft_speed": "load"}, "shaft_speed", "and load is in %"),
        (ENVELOPE, {"shaft_speed": "1480 m/s"}, "shaft_speed", "write it in rpm"),
        (ENVELOPE, {"shaft_speed": "0 rpm"}, "shaft_speed", "above nothing"),
        (ENVELOPE, {"shaft_speed": "fast one"}, "shaft_speed", "needs a number and its unit"),
        (ENVELOPE, {"shaft_speed": "60000 rpm"}, "kind", "the envelope of this band ends at 6400 Hz"),
        (ENVELOPE, {"slip": "10 %"}, "slip", "to 5 %"),
        (ENVELOPE, {"slip": "1 Hz"}, "slip", "write it in %"),
        (
            SPECTRUM,
            {"kind": "envelope_bpfo", "bearing": BEARING, "shaft_speed": "speed", "band": ["1 Hz", "2 Hz"]},
            "band",
            "made the envelope itself",
        ),
    ],
)
def test_every_mistake_is_said_with_its_path(
    settings: dict[str, Any], changes: dict[str, Any], path: str, sentence: str
):
    ((where, why),) = said(settings, **changes)
    assert where == path
    assert sentence in why


@pytest.mark.parametrize("changes", [{"harmonics": 0}, {"harmonics": 11}, {"kind": "loudness"}, {"balls": 9}])
def test_what_no_feature_can_say_is_refused_by_its_form(changes: dict[str, Any]):
    with pytest.raises(ValidationError):
        FeatureSettings.model_validate(ENVELOPE | changes)


@pytest.mark.parametrize(
    ("settings", "unit", "factor"),
    [
        (VELOCITY, "mm/s", 1000.0),
        (VELOCITY | {"from": "raw_g"}, "mm/s", 9806.65),
        (VELOCITY | {"from": "raw_g", "unit": "in/s"}, "in/s", 9.80665 / 0.0254),
        (VELOCITY | {"from": "raw_v"}, "mm/s", 1.0),
        (ENVELOPE | {"from": "raw_g"}, "g", 1.0),
        (ENVELOPE | {"from": "raw_g", "unit": "m/s2"}, "m/s2", 9.80665),
        (KURTOSIS | {"from": "raw_g"}, "1", 1.0),
    ],
)
def test_a_feature_has_its_own_unit_and_nothing_is_mixed_up(settings: dict[str, Any], unit: str, factor: float):
    whole = FeatureSettings.model_validate(settings)
    assert unit_of(whole, TAGS) == unit
    assert feature(whole, TAGS).factor == pytest.approx(factor, rel=1e-12)
    assert feature(whole, TAGS).integrated == (whole.kind is Kind.VELOCITY_RMS and settings["from"] != "raw_v")


def test_a_feature_is_read_in_hertz():
    found = feature(FeatureSettings.model_validate(ENVELOPE | {"shaft_speed": "1480 rpm", "slip": "1 %"}), TAGS)
    assert (found.band_hz, found.speed_hz, found.slip) == ((3200.0, 9600.0), pytest.approx(1480 / 60), 0.01)
    assert (found.order, found.harmonics) == (pytest.approx(3.5848, abs=1e-3), (1, 2))
    assert FeatureSettings.model_validate(ENVELOPE).fixed_speed is None
    assert FeatureSettings.model_validate(ENVELOPE | {"shaft_speed": "25 Hz"}).fixed_speed == Measure(25, "Hz")
