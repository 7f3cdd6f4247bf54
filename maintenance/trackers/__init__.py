"""One tracker for each kind of wear; `tracker_of` chooses."""

from __future__ import annotations

from collections.abc import Mapping

from maintenance.settings import ComponentSettings, DeviationWear, ForetoldWear, LevelWear, ModesWear, UsageWear
from maintenance.trackers.by_clocks import ClocksTracker
from maintenance.trackers.by_deviation import DeviationTracker
from maintenance.trackers.by_foretelling import ForetoldTracker
from maintenance.trackers.by_level import LevelTracker
from maintenance.trackers.by_modes import ModesTracker
from maintenance.trackers.by_usage import UsageTracker
from maintenance.trackers.pool import Pool
from maintenance.trackers.tracker import Tracker


def tracker_of(component: str, settings: ComponentSettings, tags: Mapping[str, str], pool: Pool) -> Tracker:
    """Return the tracker for a component's kind of wear; `tags` are the machine's, name to unit."""
    match settings.wear:
        case UsageWear(clocks=clocks):
            return ClocksTracker(settings, tags) if clocks else UsageTracker(settings, tags)
        case LevelWear():
            return LevelTracker(settings, tags)
        case ForetoldWear():
            return ForetoldTracker(settings, tags)
        case ModesWear():
            return ModesTracker(settings, tags, lambda mode: tracker_of(component, mode, tags, Pool()))
        case DeviationWear():
            return DeviationTracker(component, settings, tags, pool)
