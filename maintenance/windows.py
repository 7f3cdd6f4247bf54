"""What a site says about features: numbers computed from the windows and spectra that a machine sends, as tags of it.

Each value carries its unit. `problems` holds a feature against the tags of its machine and says every mistake with its
path; the gateway's check turns those into file, line and column. `feature` reads settings without a mistake into what
`derivation` computes by: a factor between units, frequencies in Hz.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from gettext import gettext as _
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.samples import Measure
from maintenance.bearings import Bearing, Fault
from maintenance.settings import Problem, Quantity


class Kind(StrEnum):
    """What is computed."""

    VELOCITY_RMS = "velocity_rms"
    ACCELERATION_RMS = "acceleration_rms"
    KURTOSIS = "kurtosis"
    CREST_FACTOR = "crest_factor"
    ENVELOPE_BPFO = "envelope_bpfo"
    ENVELOPE_BPFI = "envelope_bpfi"
    ENVELOPE_BSF = "envelope_bsf"
    ENVELOPE_FTF = "envelope_ftf"

    @property
    def fault(self) -> Fault | None:
        """The fault that an envelope band listens for; None of what is no envelope band."""
        return Fault(self.removeprefix("envelope_")) if self.startswith("envelope_") else None


ACCELERATIONS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("m/s2", "m/s²", "m/s^2"), 1.0),
    **dict.fromkeys(("mm/s2", "mm/s²", "mm/s^2"), 1e-3),
    "g": 9.80665,
}
"""To m/s2; the standard acceleration of gravity is exact (ISO 80000-3)."""
VELOCITIES: Final[Mapping[str, float]] = {"m/s": 1.0, "mm/s": 1e-3, "in/s": 0.0254}
SPEEDS: Final[Mapping[str, float]] = {**dict.fromkeys(("rpm", "1/min", "min-1"), 1 / 60), "Hz": 1.0, "1/s": 1.0}
FREQUENCIES: Final[Mapping[str, float]] = {"Hz": 1.0, "kHz": 1000.0}
LENGTHS: Final[Mapping[str, float]] = {"mm": 1.0, "in": 25.4}
ANGLES: Final[Mapping[str, float]] = {"deg": 1.0, "°": 1.0}
PERCENT: Final[Mapping[str, float]] = {"%": 0.01}

ISO_BAND: Final = Measure(10, "Hz"), Measure(1000, "Hz")
"""Of broad-band vibration severity (ISO 20816-1; machines below 600 rpm are judged from 2 Hz on)."""
ENVELOPE_BAND: Final = 1 / 8, 3 / 8
"""Where resonances are sought unless a band is named, as shares of the sampling rate: 3.2 to 9.6 kHz at 25.6 kHz."""
SLIP_MAX: Final = 0.05
HARMONICS_MAX: Final = 10


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BearingSettings(_Settings):
    """A bearing's geometry, from its maker."""

    balls: int = Field(ge=1, le=1000)
    ball_diameter: Quantity
    pitch_diameter: Quantity
    contact_angle: Quantity = Measure(0, "deg")


class FeatureSettings(_Settings):
    """One number from each window or spectrum of a tag."""

    from_: str = Field(alias="from", description="a tag that is a window: an array of numbers")
    kind: Kind
    unit: str | None = Field(default=None, max_length=32, description="of the feature; mm/s for a velocity if left out")
    sampling_rate: Quantity | None = Field(default=None, description="of a raw window, such as 25600 Hz")
    frequency_step: Quantity | None = Field(
        default=None, description="instead of it, of a spectrum that begins at 0 Hz"
    )
    amplitudes: Literal["peak", "rms"] | None = Field(default=None, description="how a spectrum states them")
    band: tuple[Quantity, Quantity] | None = Field(
        default=None, description="10 Hz to 1000 Hz for a velocity, a resonance's for an envelope, if left out"
    )
    bearing: BearingSettings | None = None
    shaft_speed: str | None = Field(default=None, description="a tag, or a fixed speed such as 1480 rpm")
    harmonics: int = Field(
        default=3,
        ge=1,
        le=HARMONICS_MAX,
        description="up to which; those where the other ring sounds, too, are left out",
    )
    slip: Quantity = Field(
        default=Measure(2, "%"), description="how far a bearing's frequency may be from its geometry's"
    )

    @property
    def fixed_speed(self) -> Measure | None:
        """The shaft's speed where it is fixed. Raises ValueError when it is written with a space and is no measure."""
        return Measure.parse(self.shaft_speed) if self.shaft_speed and " " in self.shaft_speed.strip() else None

    @property
    def speed_tag(self) -> str | None:
        """The tag of the shaft's speed, where it is not fixed."""
        return self.shaft_speed if self.shaft_speed and " " not in self.shaft_speed.strip() else None


@dataclass(frozen=True, slots=True)
class Source:
    """How a window is read: `rate_hz` of a raw one, or `step_hz` of a spectrum and whether its amplitudes are peaks."""

    rate_hz: float = 0.0
    step_hz: float = 0.0
    peak: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature without a mistake, in Hz.

    window: the tag that it is computed from; `factor` turns the result into the feature's unit, `integrated` when it is
    of the integral. band_hz: empty for what has none. speed_tag: the shaft's, in `speed_unit`; without one the
    shaft turns at `speed_hz`. order: the fault's frequency as a multiple of the shaft's, 0 of what listens for none;
    harmonics: those that are listened to.
    """

    window: str
    kind: Kind
    source: Source
    factor: float = 1.0
    integrated: bool = False
    band_hz: tuple[float, float] | None = None
    speed_tag: str | None = None
    speed_unit: str = "Hz"
    speed_hz: float = 0.0
    order: float = 0.0
    harmonics: tuple[int, ...] = ()
    slip: float = 0.0


def unit_of(settings: FeatureSettings, tags: Mapping[str, str]) -> str:
    """Return a feature's unit: as stated, else mm/s for a velocity, its tag's for an acceleration, 1 for a ratio."""
    if settings.unit is not None:
        return settings.unit
    match settings.kind:
        case Kind.VELOCITY_RMS:
            return "mm/s"
        case Kind.KURTOSIS | Kind.CREST_FACTOR:
            return "1"
    return tags.get(settings.from_, "")


def feature(settings: FeatureSettings, tags: Mapping[str, str]) -> Feature:
    """Return a feature of a machine's tags (name to unit). Raises ValueError, KeyError where `problems` has any."""
    unit, fixed, tag = tags[settings.from_], settings.fixed_speed, settings.speed_tag
    known = {**ACCELERATIONS, **VELOCITIES}
    ratio = settings.kind in (Kind.KURTOSIS, Kind.CREST_FACTOR)
    return Feature(
        settings.from_,
        settings.kind,
        _source(settings),
        1.0 if ratio else known[unit] / known[unit_of(settings, tags)],
        settings.kind is Kind.VELOCITY_RMS and unit in ACCELERATIONS,
        _band(settings),
        tag,
        tags[tag] if tag else "Hz",
        _in(fixed, SPEEDS) if fixed else 0.0,
        *_listening(settings),
    )


def _listening(settings: FeatureSettings) -> tuple[float, tuple[int, ...], float]:
    """Return what is listened for: the fault's order, the harmonics, the slip."""
    fault = settings.kind.fault
    if fault is None or settings.bearing is None:
        return 0.0, (), 0.0
    bearing, slip = _bearing(settings.bearing), _in(settings.slip, PERCENT)
    return bearing.order(fault), bearing.telling(fault, settings.harmonics, slip), slip


def _source(settings: FeatureSettings) -> Source:
    if settings.sampling_rate is not None:
        return Source(rate_hz=_in(settings.sampling_rate, FREQUENCIES))
    assert settings.frequency_step is not None
    return Source(step_hz=_in(settings.frequency_step, FREQUENCIES), peak=settings.amplitudes == "peak")


def _band(settings: FeatureSettings) -> tuple[float, float] | None:
    low, high = settings.band or ISO_BAND
    if settings.band is not None or settings.kind is Kind.VELOCITY_RMS:
        return _in(low, FREQUENCIES), _in(high, FREQUENCIES)
    if settings.kind.fault is not None and settings.sampling_rate is not None:
        rate = _in(settings.sampling_rate, FREQUENCIES)
        return ENVELOPE_BAND[0] * rate, ENVELOPE_BAND[1] * rate
    return None


def _bearing(settings: BearingSettings) -> Bearing:
    ball, pitch = _in(settings.ball_diameter, LENGTHS), _in(settings.pitch_diameter, LENGTHS)
    return Bearing(settings.balls, ball, pitch, _in(settings.contact_angle, ANGLES))


def _in(measure: Measure, units: Mapping[str, float]) -> float:
    if measure.unit not in units:
        raise ValueError(_("{measure}: write it in {units}").format(measure=measure, units=_or(units)))
    return measure.value * units[measure.unit]


def _or(units: Collection[str]) -> str:
    return _(" or ").join(units)


# ---- mistakes


def problems(settings: FeatureSettings, tags: Mapping[str, str], windows: Collection[str]) -> list[Problem]:
    """Return every mistake of a feature, each with its path. `windows` are the names of the tags that are windows."""
    return [
        *_tag_problems(settings, tags, windows),
        *_source_problems(settings),
        *_measure_problems(settings),
        *_needless(settings),
        *_bearing_problems(settings, tags),
        *_speed_problems(settings, tags, windows),
        *_band_problems(settings),
    ]


def _tag_problems(settings: FeatureSettings, tags: Mapping[str, str], windows: Collection[str]) -> Iterator[Problem]:
    name = settings.from_
    if name not in tags:
        known = ", ".join(sorted(windows)) or _("none")
        yield "from", _("the machine has no tag {tag}; its windows are: {known}").format(tag=name, known=known)
        return
    if name not in windows:
        yield "from", _("the tag {tag} is no window: write 'window: true' there if it is an array").format(tag=name)
    yield from _unit_problems(settings, tags[name])


def _unit_problems(settings: FeatureSettings, unit: str) -> Iterator[Problem]:
    """Where units are stated, one that is swapped for another is found here and not in a wrong number later."""
    stated = unit_of(settings, {settings.from_: unit})
    sentence = _("{kind} is computed from a tag in {units}, and {tag} is in {unit}")
    match settings.kind:
        case Kind.KURTOSIS | Kind.CREST_FACTOR:
            if stated != "1":
                yield "unit", _("a ratio has no unit: leave it out, or write '1'")
            return
        case Kind.VELOCITY_RMS:
            sources, targets = [*ACCELERATIONS, *VELOCITIES], VELOCITIES
        case _:
            sources, targets = [*ACCELERATIONS], ACCELERATIONS
    if unit not in sources:
        units = _or([each for each in sources if "²" not in each and "^" not in each])
        yield "from", sentence.format(kind=settings.kind.value, units=units, tag=settings.from_, unit=unit)
    elif stated not in targets:
        yield (
            "unit",
            _("{kind} is in {units}, not in {unit}").format(
                kind=settings.kind.value, units=_or(list(targets)), unit=stated
            ),
        )


def _source_problems(settings: FeatureSettings) -> Iterator[Problem]:
    if (settings.sampling_rate is None) == (settings.frequency_step is None):
        yield "kind", _("say 'sampling_rate' of a raw window, or 'frequency_step' of a spectrum: one of the two")
        return
    for key in ("sampling_rate", "frequency_step"):
        measure = getattr(settings, key)
        if measure is not None and measure.value <= 0:
            yield key, _("must be above nothing")
    spectral = settings.frequency_step is not None
    if spectral and settings.amplitudes is None:
        yield (
            "frequency_step",
            _("a spectrum needs 'amplitudes: peak' or 'amplitudes: rms', as the machine states them"),
        )
    if not spectral and settings.amplitudes is not None:
        yield "amplitudes", _("belongs to a spectrum, which has a 'frequency_step'")
    if spectral and settings.kind in (Kind.KURTOSIS, Kind.CREST_FACTOR):
        yield "kind", _("needs a raw window: a spectrum does not say when anything knocked")


def _measure_problems(settings: FeatureSettings) -> Iterator[Problem]:
    low, high = settings.band or (None, None)
    measures = {
        "sampling_rate": (settings.sampling_rate, FREQUENCIES),
        "frequency_step": (settings.frequency_step, FREQUENCIES),
        "band.0": (low, FREQUENCIES),
        "band.1": (high, FREQUENCIES),
        "slip": (settings.slip, PERCENT),
    }
    for path, (measure, units) in measures.items():
        if measure is not None and measure.unit not in units:
            yield path, _("write it in {units}").format(units=_or(units))
    if settings.slip.unit == "%" and not 0 <= settings.slip.value <= SLIP_MAX * 100:
        yield "slip", _("must be from 0 % to {most:g} %").format(most=SLIP_MAX * 100)


def _needless(settings: FeatureSettings) -> Iterator[Problem]:
    """What would count for nothing is a misunderstanding."""
    said = settings.model_fields_set
    if settings.kind.fault is None:
        for key in sorted(said & {"bearing", "shaft_speed", "harmonics", "slip"}):
            yield (
                key,
                _("counts for the envelope of a bearing only; the kind is {kind}").format(kind=settings.kind.value),
            )
    if settings.band is None:
        if settings.kind is Kind.ACCELERATION_RMS:
            yield "kind", _("needs a 'band', such as [10 Hz, 10000 Hz]")
    elif settings.kind in (Kind.KURTOSIS, Kind.CREST_FACTOR):
        yield "band", _("counts for nothing here: the whole window is judged")
    elif settings.kind.fault is not None and settings.frequency_step is not None:
        yield "band", _("counts for nothing here: the machine has made the envelope itself")


def _bearing_problems(settings: FeatureSettings, tags: Mapping[str, str]) -> Iterator[Problem]:
    if settings.kind.fault is None:
        return
    if settings.bearing is None:
        yield "kind", _("needs the 'bearing': balls, ball_diameter, pitch_diameter and contact_angle")
    else:
        try:
            _bearing(settings.bearing)
        except ValueError as error:
            yield "bearing", str(error)


def _speed_problems(settings: FeatureSettings, tags: Mapping[str, str], windows: Collection[str]) -> Iterator[Problem]:
    if settings.kind.fault is None:
        return
    if settings.shaft_speed is None:
        yield "kind", _("needs the 'shaft_speed': a tag, or a fixed speed such as 1480 rpm")
        return
    try:
        fixed = settings.fixed_speed
        if fixed is not None and _in(fixed, SPEEDS) <= 0:
            yield "shaft_speed", _("a fixed speed is above nothing")
    except ValueError as error:
        yield "shaft_speed", str(error)
        return
    tag = settings.speed_tag
    if tag is None:
        return
    if tag not in tags or tag in windows:
        yield "shaft_speed", _("the machine has no tag {tag} of a single number").format(tag=tag)
    elif tags[tag] not in SPEEDS:
        text = _("a speed is in {units}, and {tag} is in {unit}")
        yield "shaft_speed", text.format(units=_or(SPEEDS), tag=tag, unit=tags[tag])


def _band_problems(settings: FeatureSettings) -> Iterator[Problem]:
    """What no window, however long, could tell."""
    try:
        band, rate = _band(settings), settings.sampling_rate
        end_hz = _in(rate, FREQUENCIES) / 2 if rate is not None else None
        if end_hz is not None and end_hz <= 0:
            return  # said where the rate stands
        if band is not None and not 0 < band[0] < band[1]:
            yield "band", _("goes from a lower frequency above 0 Hz to a higher one")
        elif band is not None and end_hz is not None and band[1] > end_hz:
            key = "band" if settings.band is not None else "sampling_rate"
            text = _("a band up to {high:g} Hz needs a sampling rate of at least {rate:g} Hz")
            yield key, text.format(high=band[1], rate=2 * band[1])
        elif band is not None and settings.sampling_rate is not None:
            yield from _reach_problems(settings, band[1] - band[0])
    except ValueError:
        return  # a unit, said where it stands


def _reach_problems(settings: FeatureSettings, width_hz: float) -> Iterator[Problem]:
    """An envelope says something up to the width of its band; at a fixed speed it is known what is asked of it."""
    fixed, fault = settings.fixed_speed, settings.kind.fault
    if fixed is None or fault is None or settings.bearing is None:
        return
    order, harmonics, slip = _listening(settings)
    highest = order * _in(fixed, SPEEDS) * max(harmonics) * (1 + slip)
    if highest > width_hz:
        text = _("the harmonics reach {highest:g} Hz, and the envelope of this band ends at {width:g} Hz")
        yield "kind", text.format(highest=highest, width=width_hz)
