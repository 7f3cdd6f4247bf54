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


class _Clocked(_Settings):
    hours_per_day: float = Field(default=24, gt=0, le=24, description="how long the machine runs on a usual day")


class UsageWear(_Clocked):
    """Wears by use: a counter of the machine, or the calendar at so many hours a day."""

    by: Literal["usage"]
    tag: str | None = Field(default=None, description="a counter; its unit is the unit of the rated life")
    resets_at_fitting: bool = Field(default=False, description="the counter belongs to the part, not to the machine")
    rolls_over_at: float | None = Field(default=None, gt=0, description="where the counter begins again, in its unit")
    as_new: float | None = Field(default=None, description="what the counter of a part shows when new; 0 if left out")
    counts_down: bool = Field(default=False, description="the counter shows what is left, from as_new downwards")
    due: bool = Field(default=False, description="due exactly at the rated life, as a calibration is; nothing wears")
    shape: float = Field(default=3.0, ge=1, le=20, description="Weibull shape: 3 for common wear, higher is sharper")


class LevelWear(_Clocked):
    """Wears by a measured level with an engineering limit; the direction follows from the two."""

    by: Literal["level"]
    tag: str
    as_new: Quantity
    limit: Quantity
    clock: str | None = Field(default=None, description="a counter of use; without it the calendar is the clock")
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


class ForetoldWear(_Clocked):
    """Falls due when the machine itself says so, as a machine tool's prognosis does (OPC 40501-1)."""

    by: Literal["foretold"]
    tag: str = Field(description="the moment, in seconds since 1970 UTC as OPC-UA times are read")


Wearing = UsageWear | LevelWear | DeviationWear | ForetoldWear
Wear = Annotated[Wearing, Field(discriminator="by")]


class ComponentSettings(_Settings):
    """A slot on a machine where something wears or runs out."""

    name: str = Field(min_length=1)
    rated_life: Quantity | None = Field(default=None, description="what half of such parts reach; from the maker")
    wear: Wear
    job: JobSettings
    stale_after: Quantity = Field(default=Measure(1, "d"), description="silence after which a person is asked")

    def tags(self) -> tuple[str, ...]:
        """Return the machine's tags that this component reads, the clock last."""
        return wear_tags(self.wear)


def wear_tags(wear: Wearing) -> tuple[str, ...]:
    """Return the tags that a kind of wear reads: signals first, then the counter of use."""
    match wear:
        case UsageWear() | ForetoldWear():
            names: tuple[str | None, ...] = (wear.tag,)
        case LevelWear():
            names = (wear.tag, wear.clock)
        case DeviationWear():
            names = (*wear.tags, wear.clock)
    return tuple(name for name in names if name is not None)


def is_time(unit: str) -> bool:
    """Tell whether a unit measures time."""
    try:
        return Measure(1.0, unit).duration.total_seconds() > 0
    except ValueError:
        return False


def clock_unit(wear: Wearing, tags: Mapping[str, str]) -> str:
    """Return the unit of a component's operating time: its counter's, or hours by the calendar."""
    if isinstance(wear, ForetoldWear):
        return "h"
    name = wear.tag if isinstance(wear, UsageWear) else wear.clock
    return "h" if name is None else tags[name]


def in_unit(measure: Measure, unit: str) -> float:
    """Return a measure's value in another unit. Raises ValueError when the two do not measure the same."""
    if measure.unit == unit:
        return measure.value
    if is_time(measure.unit) and is_time(unit):
        return measure.duration / Measure(1.0, unit).duration
    raise ValueError(_("{measure} is not in {unit}").format(measure=measure, unit=unit))


def problems(component: ComponentSettings, tags: Mapping[str, str]) -> list[Problem]:
    """Return every mistake that only the machine's tags (name to unit) can show, each with its path."""
    wear = component.wear
    found = list(_unknown_tags(wear, tags))
    if not found:
        found += _life_problems(component, clock_unit(wear, tags))
    if isinstance(wear, LevelWear):
        found += _limit_problems(wear, tags.get(wear.tag))
    if isinstance(wear, DeviationWear) and len(set(wear.tags)) < len(wear.tags):
        found.append(("wear.tags", _("a tag is named twice")))
    if isinstance(wear, UsageWear):
        found += _counter_problems(wear)
    if isinstance(wear, ForetoldWear):
        found += _moment_problems(component, tags.get(wear.tag))
    found += _duration_problems(component)
    return found


def _counter_problems(wear: UsageWear) -> Iterator[Problem]:
    """A counter that does not begin at 0, or runs down, is the part's own: only a new part sets it back."""
    moved = wear.as_new is not None or wear.counts_down
    if moved and (wear.tag is None or not wear.resets_at_fitting):
        key = "as_new" if wear.as_new is not None else "counts_down"
        yield f"wear.{key}", _("only a part's own counter has that: name its 'tag', with 'resets_at_fitting: true'")
    if wear.counts_down and wear.as_new is None:
        yield "wear.counts_down", _("from where? 'as_new' is what the counter shows on a new part")


def _moment_problems(component: ComponentSettings, unit: str | None) -> Iterator[Problem]:
    if unit not in (None, "s"):
        yield "wear.tag", _("a moment is read in s, seconds since 1970 UTC; this tag is in {unit}").format(unit=unit)
    if component.rated_life is not None:
        yield "rated_life", _("the machine says when it is due, so a rated life would count for nothing")


def _unknown_tags(wear: Wearing, tags: Mapping[str, str]) -> Iterator[Problem]:
    for name in wear_tags(wear):
        if name not in tags:
            signal = isinstance(wear, DeviationWear) and name in wear.tags
            key = f"tags.{wear.tags.index(name)}" if signal and isinstance(wear, DeviationWear) else "tag"
            if isinstance(wear, LevelWear | DeviationWear) and not signal and name == wear.clock:
                key = "clock"
            known = ", ".join(sorted(tags)) or _("none")
            yield f"wear.{key}", _("the machine has no tag {tag}; it has: {known}").format(tag=name, known=known)


def _life_problems(component: ComponentSettings, unit: str) -> Iterator[Problem]:
    life = component.rated_life
    if life is None:
        if not isinstance(component.wear, DeviationWear | ForetoldWear):
            yield "rated_life", _("a component that wears by {by} needs a rated life").format(by=component.wear.by)
        return
    if life.value <= 0:
        yield "rated_life", _("a life is longer than nothing")
    try:
        in_unit(life, unit)
    except ValueError:
        yield (
            "rated_life",
            _("the rated life is in {life} but its clock runs in {clock}").format(life=life.unit, clock=unit),
        )


def _limit_problems(wear: LevelWear, unit: str | None) -> Iterator[Problem]:
    for key, measure in (("as_new", wear.as_new), ("limit", wear.limit)):
        if unit is not None and measure.unit != unit:
            yield (
                f"wear.{key}",
                _("the tag {tag} is in {unit}, this is in {other}").format(tag=wear.tag, unit=unit, other=measure.unit),
            )
    if wear.as_new.unit == wear.limit.unit and wear.as_new.value == wear.limit.value:
        yield "wear.limit", _("the limit is what the part has as new, so nothing could wear")


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
