"""What a site says about wear that nobody measures while the machine runs: estimated from its signals, as a tag of it.

An estimate names the signals that feel wear, the counters that clock the part, how much use makes one row of them, and
the file of what measured parts taught (`wear_file`). It gives two tags: the wear under its own name, and under
`NAME.deviation` its standard deviation, which is below 0 while nobody can tell. `problems` holds an estimate against
the tags of its machine and says every mistake with its path. Opens no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from connectors.samples import Tag
from maintenance.settings import ComponentSettings, LevelWear, Problem, Quantity, in_unit, is_convertible
from maintenance.wear_estimate import WearModel

SIGNALS_MAX: Final = 16
CLOCKS_MAX: Final = 4
"""Of one estimate: what is learned from a handful of parts cannot weigh more."""
DEVIATION: Final = ".deviation"
"""What the name of an estimate's standard deviation ends with."""


class EstimateSettings(BaseModel):
    """Wear of one component's part, from signals of its machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signals: tuple[str, ...] = Field(
        min_length=1, max_length=SIGNALS_MAX, description="tags that feel wear, above 0 while the part works"
    )
    clocks: tuple[str, ...] = Field(
        min_length=1, max_length=CLOCKS_MAX, description="counters of use; the first says when the part works"
    )
    every: Quantity = Field(description="use on the first clock from one look at the signals to the next, such as 1 s")
    unit: str = Field(default="µm", min_length=1, max_length=32, description="of the wear")
    model: Path = Field(description="what measured parts taught, as 'toolcrib learn' writes it; relative to the config")


@dataclass(frozen=True, slots=True)
class Taught:
    """What measured parts taught: a model, and between which rises of each signal it was learned.

    version: the digest of it all.
    """

    model: WearModel
    seen: tuple[tuple[float, float], ...]
    version: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate without a mistake.

    component: `machine/component`, whose part wears. every: in the first clock's unit. taught: None where nothing was
    learned yet or what is there cannot be used; `trouble` is the sentence that says why.
    """

    component: str
    unit: str
    signals: tuple[Tag, ...]
    clocks: tuple[Tag, ...]
    every: float
    taught: Taught | None = None
    trouble: str = ""


def estimate(
    settings: EstimateSettings,
    machine: str,
    component: str,
    tags: Mapping[str, str],
    taught: Taught | None,
    trouble: str,
) -> Estimate:
    """Return an estimate of a machine's tags (name to unit). Raises ValueError, KeyError where `problems` has any."""
    signals, clocks = (
        tuple(Tag(f"{machine}/{name}", tags[name]) for name in names) for names in (settings.signals, settings.clocks)
    )
    every = in_unit(settings.every, clocks[0].unit)
    return Estimate(f"{machine}/{component}", settings.unit, signals, clocks, every, taught, trouble)


def units_of(estimates: Mapping[str, EstimateSettings]) -> dict[str, str]:
    """Return the units of the tags that estimates of one machine give, by name."""
    return {name + end: each.unit for name, each in estimates.items() for end in ("", DEVIATION)}


def informed(component: ComponentSettings, estimates: Mapping[str, EstimateSettings]) -> LevelWear | None:
    """Return a component's wear with the deviation of the estimate that it wears by, None where it wears by none."""
    wear = component.wear
    if isinstance(wear, LevelWear) and wear.tag in estimates and wear.deviation is None:
        return wear.model_copy(update={"deviation": wear.tag + DEVIATION})
    return None


def wearing_by(name: str, components: Mapping[str, ComponentSettings]) -> list[str]:
    """Return the components of one machine that wear by an estimate."""
    return [key for key, each in components.items() if isinstance(each.wear, LevelWear) and each.wear.tag == name]


def problems(settings: EstimateSettings, tags: Mapping[str, str]) -> Iterator[Problem]:
    """Yield every mistake of an estimate that the machine's tags show, read or computed."""
    known = ", ".join(sorted(tags)) or _("none")
    for key, names in (("signals", settings.signals), ("clocks", settings.clocks)):
        for place, name in enumerate(names):
            if name not in tags:
                sentence = _("the machine has no tag {tag} of a single number; it has: {known}")
                yield f"{key}.{place}", sentence.format(tag=name, known=known)
            elif (*settings.signals, *settings.clocks).count(name) > 1:
                yield f"{key}.{place}", _("the tag {tag} is named twice").format(tag=name)
    clock = tags.get(settings.clocks[0])
    if settings.every.value <= 0:
        yield "every", _("must be above nothing")
    elif clock is not None and not is_convertible(settings.every.unit, clock):
        sentence = _("the clock {tag} is in {unit}, this is in {other}")
        yield "every", sentence.format(tag=settings.clocks[0], unit=clock, other=settings.every.unit)
