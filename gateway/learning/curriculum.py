"""What learning knows of a config: components, the units of each one's tags, timing, and what a person pinned. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.learning.phases import Phase
from gateway.learning.task import HOUR, Case
from gateway.settings import ComponentConfig
from maintenance.settings import ComponentSettings, UsageWear, clock_unit, counter_unit
from marketplace.settings import TimingSettings


@dataclass(frozen=True, slots=True)
class Curriculum:
    """All of it. ceilings: by the name of a kind, the phase beyond which it does not go."""

    components: Mapping[str, ComponentConfig]
    units: Mapping[str, Mapping[str, str]]
    timing: TimingSettings
    ceilings: Mapping[str, Phase] = field(default_factory=dict)

    def case(self, component: str) -> Case:
        """Return a component as it is judged."""
        config = self.components[component]
        settings = ComponentSettings(**{name: getattr(config, name) for name in ComponentSettings.model_fields})
        wear, tags = settings.wear, self.units[component]
        clocks = wear.clocks if isinstance(wear, UsageWear) else {}
        units = {name: counter_unit(clock, tags) for name, clock in clocks.items()}
        case = Case(settings, clock_unit(wear, tags), step=self.timing.step / HOUR, units=units)
        if config.buying is None:
            return case
        terms = self.timing.terms(config.buying)
        return replace(case, costs=terms.costs, delays=terms.supplies[0].delays, step=max(terms.step / HOUR, 1e-3))
