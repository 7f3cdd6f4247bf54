"""What a site says about its components: what wears by which evidence, how long it lasts, what the job needs.

Each value carries its unit. `problems` holds a component against the tags of its machine and says every mistake with
its path; the gateway's check turns those into file, line and column. This module knows no price and no supplier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from gettext import gettext as _
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from connectors.samples import Measure
from maintenance.lifetimes import BEARING_SHAPE, COMMON_SHAPE, SHAPE_LEAST, SHAPE_MOST, median_of_b10
from maintenance.needs import JobKind

Problem = tuple[str, str]
"""A path inside the component, dotted, and a sentence."""


def _measure(value: Any) -> Any:
    return value if isinstance(value, Measure) else Measure.parse(value)


Quantity = Annotated[
    Measure,
    BeforeValidator(_measure),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["20000 h", "2.8 mm/s", "14 d"]}),
]
"""A number with its unit, as text."""


ClockName = Annotated[str, Field(pattern=r"^[a-z0-9_-]*[a-z][a-z0-9_-]*$", max_length=64)]
CLOCKS_MAX = 8
"""Clocks of one part; what wears by more is several components."""


MODES_MAX = 8
"""Ways in which one part fails; a part that fails in more is an assembly, hence several components."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineSettings(_Settings):
    """One thing that the job wants: an item of the catalogue, how many of its unit."""

    item: str = Field(min_length=1)
    quantity: Decimal = Field(gt=0)
    kind: JobKind = JobKind.PART
    unit: str = Field(default="C62", max_length=3, description="UN/ECE Recommendation 20 code; C62 is a piece")


Named = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
"""A tool or a skill, as people call it."""


class JobSettings(_Settings):
    """The job that renews the component: how long it takes, what it uses up, and what and who must be at hand."""

    title: str = Field(min_length=1)
    duration: Quantity | None = None
    lines: dict[str, LineSettings] = Field(default_factory=dict)
    tools: tuple[Named, ...] = Field(default=(), max_length=50, description="what must be at hand, and stays")
    skills: tuple[Named, ...] = Field(default=(), max_length=50, description="what whoever does it must know")


class LifeSettings(_Settings):
    """How long such parts last, stated one way or the other; from the maker."""

    rated_life: Quantity | None = Field(default=None, description="what half of such parts reach; from the maker")
    b10_life: Quantity | None = Field(default=None, description="instead of it, what nine in ten reach (ISO 281)")


class _Clocked(_Settings):
    hours_per_day: float = Field(default=24, gt=0, le=24, description="how long the machine runs on a usual day")


class CounterSettings(_Clocked):
    """How one clock of a part is read: a counter of the machine, or the calendar at so many hours a day."""

    tag: str | None = Field(default=None, description="a counter; its unit is the unit of the rated life")
    resets_at_fitting: bool = Field(default=False, description="the counter belongs to the part, not to the machine")
    rolls_over_at: float | None = Field(default=None, gt=0, description="where the counter begins again, in its unit")
    as_new: float | None = Field(default=None, description="what the counter of a part shows when new; 0 if left out")
    counts_down: bool = Field(default=False, description="the counter shows what is left, from as_new downwards")
    shape: float | None = Field(
        default=None,
        ge=SHAPE_LEAST,
        le=SHAPE_MOST,
        description="Weibull shape: 3 for common wear, higher is sharper; left out beside a b10_life: 1.5, a bearing's",
    )


class ClockSettings(CounterSettings, LifeSettings):
    """One of several clocks that a part wears by, with the life that it has on this one."""


class UsageWear(CounterSettings):
    """Wears by use, on one clock or on several of which the first to end its life counts."""

    by: Literal["usage"]
    due: bool = Field(default=False, description="due exactly at the rated life, as a calibration is; nothing wears")
    clocks: dict[ClockName, ClockSettings] = Field(
        default_factory=dict, max_length=CLOCKS_MAX, description="several clocks, each with a life of its own"
    )


class LevelWear(_Clocked):
    """Wears by a measured level with an engineering limit; the direction follows from the two."""

    by: Literal["level"]
    tag: str
    as_new: Quantity
    limit: Quantity
    clock: str | None = Field(default=None, description="a counter of use; without it the calendar is the clock")
    deviation: str | None = Field(
        default=None, description="a tag of the level's standard deviation, below 0 while it cannot be told"
    )
    smoothing: Quantity = Field(default=Measure(1, "h"), description="time constant of the level")
    frame: Quantity | None = Field(default=None, description="span averaged into one point of the trend")


class DeviationWear(_Clocked):
    """Wears away from the unit's own healthy self; no limit is known."""

    by: Literal["deviation"]
    tags: tuple[str, ...] = Field(min_length=1)
    baseline: int = Field(default=25, ge=5, le=1000, description="first frames that count as healthy")
    clock: str | None = None
    peers: str | None = Field(default=None, description="units that share this name share their healthy scatter")
    frame: Quantity | None = Field(default=None, description="span averaged into one point")
    regime: dict[str, Quantity] = Field(
        default_factory=dict,
        max_length=8,
        description="tags that say how the machine is run, each with how far apart two moments of one regime may be",
    )


class ForetoldWear(_Clocked):
    """Falls due when the machine itself says so, as a machine tool's prognosis does (OPC 40501-1)."""

    by: Literal["foretold"]
    tag: str = Field(description="the moment, in seconds since 1970 UTC as OPC-UA times are read")


class UsageMode(UsageWear, LifeSettings):
    """One of several ways in which a part fails: by use, on one clock."""


class LevelMode(LevelWear, LifeSettings):
    """One of several ways in which a part fails: by a level."""


class DeviationMode(DeviationWear, LifeSettings):
    """One of several ways in which a part fails: away from its healthy self."""


Mode = UsageMode | LevelMode | DeviationMode


class ModesWear(_Settings):
    """Wears in several ways, each with its own evidence, of which the first to end its life counts."""

    by: Literal["modes"]
    modes: dict[ClockName, Annotated[Mode, Field(discriminator="by")]] = Field(
        min_length=2, max_length=MODES_MAX, description="several kinds of evidence, each by its name"
    )


Wearing = UsageWear | LevelWear | DeviationWear | ForetoldWear | ModesWear
Wear = Annotated[Wearing, Field(discriminator="by")]


class ComponentSettings(LifeSettings):
    """A slot on a machine where something wears or runs out."""

    name: str = Field(min_length=1)
    wear: Wear
    job: JobSettings
    stale_after: Quantity = Field(default=Measure(1, "d"), description="silence after which a person is asked")

    def tags(self) -> tuple[str, ...]:
        """Return the machine's tags that this component reads, the clock last."""
        return wear_tags(self.wear)


def wear_tags(wear: Wearing) -> tuple[str, ...]:
    """Return the tags that a kind of wear reads: signals first, then the counters of use."""
    match wear:
        case UsageWear():
            signals: tuple[str, ...] = ()
        case LevelWear():
            signals = (wear.tag,) if wear.deviation is None else (wear.tag, wear.deviation)
        case ForetoldWear():
            signals = (wear.tag,)
        case DeviationWear():
            signals = (*wear.tags, *wear.regime)
        case ModesWear():
            return tuple(name for mode in wear.modes.values() for name in wear_tags(mode))
    return (*signals, *counter_tags(wear))


def counter_tags(wear: Wearing) -> tuple[str, ...]:
    """Return the tags of the counters that a kind of wear is clocked by, in their order; none by the calendar."""
    match wear:
        case UsageWear():
            names = [clock.tag for clock in wear.clocks.values()] or [wear.tag]
        case LevelWear() | DeviationWear():
            names = [wear.clock]
        case ModesWear():
            names = [name for mode in wear.modes.values() for name in counter_tags(mode)]
        case ForetoldWear():
            names = []
    return tuple(name for name in names if name is not None)


def measured_tags(wear: Wearing) -> tuple[str, ...]:
    """Return the tags in which wear itself is measured; several modes may be clocked by the same counter."""
    match wear:
        case LevelWear():
            return (wear.tag,)
        case DeviationWear():
            return wear.tags
        case ModesWear():
            return tuple(tag for mode in wear.modes.values() for tag in measured_tags(mode))
    return ()


def clock_name(wear: Wearing, tag: str) -> str:
    """Return the name of the clock that a tag counts, or of the mode that reads it; "" where there is but one."""
    if isinstance(wear, ModesWear):
        return next((name for name, mode in wear.modes.items() if tag in wear_tags(mode)), "")
    clocks = wear.clocks if isinstance(wear, UsageWear) else {}
    return next((name for name, clock in clocks.items() if clock.tag == tag), "")


def kind_of(component: str, wear: DeviationWear) -> str:
    """Return the kind of which a component is one: its peers' name, or its own key where it has none."""
    return wear.peers or component


def is_time(unit: str) -> bool:
    """Tell whether a unit measures time."""
    try:
        return Measure(1.0, unit).duration.total_seconds() > 0
    except ValueError:
        return False


def clock_unit(wear: Wearing, tags: Mapping[str, str]) -> str:
    """Return the unit of a component's operating time: its counter's, or hours by the calendar.

    Where several clocks run, only the calendar is common to them.
    """
    if isinstance(wear, ForetoldWear | ModesWear) or (isinstance(wear, UsageWear) and wear.clocks):
        return "h"
    name = wear.tag if isinstance(wear, UsageWear) else wear.clock
    return "h" if name is None else tags[name]


def counter_unit(clock: CounterSettings, tags: Mapping[str, str]) -> str:
    """Return the unit of one clock: its counter's, or hours by the calendar."""
    return "h" if clock.tag is None else tags[clock.tag]


def shape_of(clock: CounterSettings, life: LifeSettings) -> float:
    """Return the Weibull shape of a life on a clock: as stated, else a bearing's for a B10 life, else that of wear."""
    if clock.shape is not None:
        return clock.shape
    return COMMON_SHAPE if life.b10_life is None else BEARING_SHAPE


def median_life(life: ComponentSettings | ClockSettings) -> Measure | None:
    """Return the life that half of the parts reach, from either way of stating it; None where none is stated."""
    if life.rated_life is not None or life.b10_life is None:
        return life.rated_life
    clock = life if isinstance(life, ClockSettings) else life.wear
    shape = shape_of(clock, life) if isinstance(clock, CounterSettings) else BEARING_SHAPE
    return Measure(median_of_b10(life.b10_life.value, shape), life.b10_life.unit)


def in_unit(measure: Measure, unit: str) -> float:
    """Return a measure's value in another unit. Raises ValueError when the two do not measure the same."""
    if measure.unit == unit:
        return measure.value
    if is_convertible(measure.unit, unit):
        return measure.duration / Measure(1.0, unit).duration
    raise ValueError(_("{measure} is not in {unit}").format(measure=measure, unit=unit))


def is_convertible(unit: str, other: str) -> bool:
    """Tell whether two units measure the same."""
    return unit == other or (is_time(unit) and is_time(other))


def problems(component: ComponentSettings, tags: Mapping[str, str]) -> list[Problem]:
    """Return every mistake that only the machine's tags (name to unit) can show, each with its path."""
    wear = component.wear
    if isinstance(wear, ModesWear):
        return list(_mode_problems(component, wear, tags))
    found = list(_unknown_tags(wear, tags))
    if not found:
        found += _life_problems(component, tags)
    if isinstance(wear, LevelWear):
        found += _limit_problems(wear, tags.get(wear.tag))
        found += _deviation_problems(wear, tags)
    if isinstance(wear, DeviationWear):
        found += _signal_problems(wear, tags)
    if isinstance(wear, UsageWear):
        found += _counter_problems(wear)
    if isinstance(wear, ForetoldWear):
        found += _moment_problems(component, tags.get(wear.tag))
    found += _duration_problems(component)
    return found


def of_mode(component: ComponentSettings, mode: Mode) -> ComponentSettings:
    """Return a component as one of its modes sees it: its life where it says one, the component's otherwise."""
    life = mode if _stated(mode) else component
    return component.model_copy(update={"wear": mode, "rated_life": life.rated_life, "b10_life": life.b10_life})


def _mode_problems(component: ComponentSettings, wear: ModesWear, tags: Mapping[str, str]) -> Iterator[Problem]:
    yield from _duration_problems(component)
    for name, mode in wear.modes.items():
        place = f"wear.modes.{name}"
        if isinstance(mode, UsageMode) and mode.clocks:
            yield f"{place}.clocks", _("each clock is a mode of its own here: name it beside this one")
            continue
        if isinstance(mode, DeviationMode) and mode.peers is not None:
            yield f"{place}.peers", _("only what wears by deviation alone can share its healthy scatter with peers")
        for path, sentence in problems(of_mode(component, mode), tags):
            head, _dot, rest = path.partition(".")
            if head == "wear":
                yield f"{place}.{rest}", sentence
            elif head in LifeSettings.model_fields and _stated(mode):
                yield f"{place}.{path}", sentence
            elif head in LifeSettings.model_fields:
                yield path, sentence
    seen: set[str] = set()
    for name, mode in wear.modes.items():
        for tag in sorted(set(measured_tags(mode)) & seen):
            yield f"wear.modes.{name}", _("the tag {tag} speaks for another mode already").format(tag=tag)
        seen |= set(measured_tags(mode))


def _signal_problems(wear: DeviationWear, tags: Mapping[str, str]) -> Iterator[Problem]:
    if len(set(wear.tags)) < len(wear.tags):
        yield "wear.tags", _("a tag is named twice")
    for name, tolerance in wear.regime.items():
        if name in wear.tags:
            yield f"wear.regime.{name}", _("this tag is a signal already; how a machine is run is no sign of its wear")
        if name in tags and tolerance.unit != tags[name]:
            sentence = _("the tag {tag} is in {unit}, this is in {other}")
            yield f"wear.regime.{name}", sentence.format(tag=name, unit=tags[name], other=tolerance.unit)
        if tolerance.value <= 0:
            yield f"wear.regime.{name}", _("two moments are never exactly alike; how far apart may they be?")


def _counter_problems(wear: UsageWear) -> Iterator[Problem]:
    if not wear.clocks:
        yield from _reading_problems(wear, "wear")
        return
    for key in sorted(wear.model_fields_set & CounterSettings.model_fields.keys()):
        yield f"wear.{key}", _("each of several clocks says that for itself: write it below the clock's name")
    for name, clock in wear.clocks.items():
        yield from _reading_problems(clock, f"wear.clocks.{name}")
        if clock.tag is not None and counter_tags(wear).count(clock.tag) > 1:
            yield f"wear.clocks.{name}.tag", _("two clocks count by the tag {tag}").format(tag=clock.tag)


def _reading_problems(clock: CounterSettings, place: str) -> Iterator[Problem]:
    """A counter that does not begin at 0, or runs down, is the part's own: only a new part sets it back."""
    moved = clock.as_new is not None or clock.counts_down
    if moved and (clock.tag is None or not clock.resets_at_fitting):
        key = "as_new" if clock.as_new is not None else "counts_down"
        yield f"{place}.{key}", _("only a part's own counter has that: name its 'tag', with 'resets_at_fitting: true'")
    if clock.counts_down and clock.as_new is None:
        yield f"{place}.counts_down", _("from where? 'as_new' is what the counter shows on a new part")


def _moment_problems(component: ComponentSettings, unit: str | None) -> Iterator[Problem]:
    if unit not in (None, "s"):
        yield "wear.tag", _("a moment is read in s, seconds since 1970 UTC; this tag is in {unit}").format(unit=unit)
    for key in _stated(component):
        yield key, _("the machine says when it is due, so a rated life would count for nothing")


def _unknown_tags(wear: Wearing, tags: Mapping[str, str]) -> Iterator[Problem]:
    known = ", ".join(sorted(tags)) or _("none")
    for path, name in _places(wear):
        if name is not None and name not in tags:
            yield path, _("the machine has no tag {tag}; it has: {known}").format(tag=name, known=known)


def _places(wear: Wearing) -> Iterator[tuple[str, str | None]]:
    """Where a kind of wear names tags, each with its path."""
    match wear:
        case UsageWear():
            yield "wear.tag", wear.tag
            yield from ((f"wear.clocks.{name}.tag", clock.tag) for name, clock in wear.clocks.items())
        case ForetoldWear():
            yield "wear.tag", wear.tag
        case LevelWear():
            yield from (("wear.tag", wear.tag), ("wear.deviation", wear.deviation), ("wear.clock", wear.clock))
        case DeviationWear():
            yield from ((f"wear.tags.{place}", name) for place, name in enumerate(wear.tags))
            yield from ((f"wear.regime.{name}", name) for name in wear.regime)
            yield "wear.clock", wear.clock


def _life_problems(component: ComponentSettings, tags: Mapping[str, str]) -> Iterator[Problem]:
    wear = component.wear
    if not isinstance(wear, UsageWear) or not wear.clocks:
        yield from _stated_problems(component, wear, clock_unit(wear, tags), "")
        return
    for key in _stated(component):
        yield key, _("each of several clocks has a life of its own: write it below the clock's name")
    for name, clock in wear.clocks.items():
        yield from _stated_problems(clock, wear, counter_unit(clock, tags), f"wear.clocks.{name}.")


def _stated(life: LifeSettings) -> list[str]:
    return [key for key in LifeSettings.model_fields if getattr(life, key) is not None]


def _stated_problems(life: LifeSettings, wear: Wearing, unit: str, place: str) -> Iterator[Problem]:
    key = "rated_life" if life.b10_life is None else "b10_life"
    stated = life.rated_life if life.b10_life is None else life.b10_life
    if len(_stated(life)) > 1:
        yield f"{place}b10_life", _("a life is what half reach (rated_life) or what nine in ten do: say one of the two")
    if isinstance(wear, UsageWear) and wear.due and life.b10_life is not None:
        yield f"{place}b10_life", _("what is due at a fixed life wears nothing: say that life as 'rated_life'")
    if stated is None:
        if not isinstance(wear, DeviationWear | ForetoldWear):
            yield f"{place}rated_life", _("a component that wears by {by} needs a rated life").format(by=wear.by)
        return
    if stated.value <= 0:
        yield f"{place}{key}", _("a life is longer than nothing")
    if not is_convertible(stated.unit, unit):
        sentence = _("the rated life is in {life} but its clock runs in {clock}")
        yield f"{place}{key}", sentence.format(life=stated.unit, clock=unit)


def _limit_problems(wear: LevelWear, unit: str | None) -> Iterator[Problem]:
    for key, measure in (("as_new", wear.as_new), ("limit", wear.limit)):
        if unit is not None and measure.unit != unit:
            yield (
                f"wear.{key}",
                _("the tag {tag} is in {unit}, this is in {other}").format(tag=wear.tag, unit=unit, other=measure.unit),
            )
    if wear.as_new.unit == wear.limit.unit and wear.as_new.value == wear.limit.value:
        yield "wear.limit", _("the limit is what the part has as new, so nothing could wear")


def _deviation_problems(wear: LevelWear, tags: Mapping[str, str]) -> Iterator[Problem]:
    unit, level = tags.get(wear.deviation or ""), tags.get(wear.tag)
    if unit is not None and level is not None and unit != level:
        sentence = _("the tag {tag} is in {unit}, this is in {other}")
        yield "wear.deviation", sentence.format(tag=wear.tag, unit=level, other=unit)
    if wear.deviation in (wear.tag, wear.clock) and wear.deviation is not None:
        yield "wear.deviation", _("a tag is named twice")


def _duration_problems(component: ComponentSettings) -> Iterator[Problem]:
    wear = component.wear
    spans = {"stale_after": component.stale_after, "job.duration": component.job.duration}
    if isinstance(wear, LevelWear):
        spans |= {"wear.smoothing": wear.smoothing, "wear.frame": wear.frame}
    if isinstance(wear, DeviationWear):
        spans["wear.frame"] = wear.frame
    for path, span in spans.items():
        if span is not None and (not is_time(span.unit) or span.value <= 0):
            yield path, _("{span} is not a span of time").format(span=span)
