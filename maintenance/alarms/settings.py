"""What a config may say about condition alarms: at the site for every kind, at a component for itself.

Everything may be left out. Limits carry their unit: a share in `%` or a span of time, whichever the kind measures. A
mistake is a sentence at the value's own path. Nothing here opens anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from gettext import gettext as _
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from connectors.samples import Measure
from maintenance.alarms.kinds import AlarmKind, Consequence
from maintenance.alarms.rules import Rules, Said, SaidOf

DELAY_MAX: Final = timedelta(days=30)
_HOUR: Final = timedelta(hours=1)


def _measure(value: Any) -> Measure:
    try:
        return Measure.parse(str(value))
    except ValueError:
        raise ValueError(_("needs a number with its unit, such as '20 %' or '2 h'")) from None


def _delay(value: Any) -> timedelta:
    span = value if isinstance(value, timedelta) else _duration(_measure(value))
    if not timedelta(0) <= span <= DELAY_MAX:
        raise ValueError(_("lies between no time and {days} days").format(days=DELAY_MAX.days))
    return span


def _duration(measure: Measure) -> timedelta:
    try:
        return measure.duration
    except ValueError:
        raise ValueError(_("{measure} is no span of time; write it such as '2 h'").format(measure=measure)) from None


def _share(value: Any) -> float:
    if isinstance(value, float):
        return value
    measure = _measure(value)
    if measure.unit != "%" or not 0 <= measure.value <= 100:
        raise ValueError(_("{measure} is no share; write it between '0 %' and '100 %'").format(measure=measure))
    return measure.value / 100


def _hours(value: Any) -> float:
    if isinstance(value, float):
        return value
    span = _duration(_measure(value))
    if span < timedelta(0):
        raise ValueError(_("is not below zero"))
    return span / _HOUR


def _written(form: Callable[[Any], str], *examples: str) -> tuple[PlainSerializer, WithJsonSchema]:
    return PlainSerializer(form, when_used="unless-none"), WithJsonSchema({"type": "string", "examples": [*examples]})


Delay = Annotated[
    timedelta, BeforeValidator(_delay), *_written(lambda span: f"{span.total_seconds():.15g} s", "5 min", "2 h")
]
Share = Annotated[float, BeforeValidator(_share), *_written(lambda share: f"{share * 100:.12g} %", "20 %")]
Hours = Annotated[float, BeforeValidator(_hours), *_written(lambda hours: f"{hours:.12g} h", "2 d", "36 h")]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindSettings(_Settings):
    """One kind of alarm that measures nothing: whether it is told at all, and after which delays."""

    enabled: bool | None = None
    on_delay: Delay | None = Field(default=None, description="how long it must last before it is an alarm")
    off_delay: Delay | None = Field(default=None, description="how long it must be gone before it clears")

    def said(self) -> Said:
        """Return the same as rules take it."""
        return Said(**{name: getattr(self, name) for name in type(self).model_fields})


class ShareSettings(KindSettings):
    """A kind that measures a share."""

    limit: Share | None = None
    band: Share | None = Field(default=None, description="by how much more than the limit it must recover to clear")


class TimeSettings(KindSettings):
    """A kind that measures a span of time."""

    limit: Hours | None = None
    band: Hours | None = Field(default=None, description="by how much more than the limit it must recover to clear")


class _Kinds(_Settings):
    """Kinds that speak of components; `None`: nothing is said."""

    sensor_silent: KindSettings | None = None
    sensor_stuck: TimeSettings | None = None
    counter_doubted: KindSettings | None = None
    contradiction: KindSettings | None = None
    new_part_proposed: KindSettings | None = None
    health_low: ShareSettings | None = None
    failure_likely: ShareSettings | None = None
    decide_by_near: TimeSettings | None = None

    def said(self) -> dict[AlarmKind, Said]:
        """Return what is said, by kind."""
        found = {kind: getattr(self, kind.value, None) for kind in AlarmKind}
        return {kind: settings.said() for kind, settings in found.items() if settings is not None}


class SiteAlarms(_Kinds):
    """Condition alarms of a whole site, by kind."""

    connection_lost: KindSettings | None = None
    tag_unreadable: KindSettings | None = None


class ComponentAlarms(_Kinds):
    """Condition alarms of one component, by kind; how bad it is when nobody acts, and whether it is out of service."""

    consequence: Consequence = Consequence.MODERATE
    out_of_service: bool = Field(default=False, description="its alarms are suppressed, and listed as such")

    def said_of(self) -> SaidOf:
        """Return what is said of the component."""
        return SaidOf(self.said(), self.consequence, self.out_of_service)


def rules_of(site: SiteAlarms, components: Mapping[str, ComponentAlarms]) -> Rules:
    """Return the rules that a site's settings and those of its components, by key, make."""
    return Rules(site.said(), {key: each.said_of() for key, each in components.items()})
