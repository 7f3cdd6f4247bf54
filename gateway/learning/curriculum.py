"""What learning knows of a config: components, the units of each one's tags, timing, and what a person pinned. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from gateway.learning.phases import Phase
from gateway.learning.task import Case
from gateway.settings import ComponentConfig
from maintenance.settings import ComponentSettings, clock_unit
from marketplace.settings import TimingSettings

HOUR: Final = timedelta(hours=1)


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
        unit = clock_unit(settings.wear, self.units[component])
        if config.buying is None:
            return Case(settings, unit, step=self.timing.step / HOUR)
        terms = self.timing.terms(config.buying)
        return Case(settings, unit, terms.costs, terms.supplies[0].delays, max(terms.step / HOUR, 1e-3))
