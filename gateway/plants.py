"""What a config says to a backtest, and to a gateway that is a shadow."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gateway.backtest.playing import Plant
from gateway.backtest.report import Case
from gateway.config import Config
from gateway.learning.service import curriculum
from gateway.reload import watched


def plant_of(site: Config, step: timedelta | None = None) -> Plant:
    """Return what a backtest needs of a config. step: how often it decides, instead of what the config says."""
    bands = {key: tag.band for key, tag in site.tags.items()}
    absolute = {key: band.value for key, band in bands.items() if band is not None and not band.percent}
    heard = {name: site.heard_over(name) for name in site.connections}
    timing = site.file.timing if step is None else site.file.timing.model_copy(update={"step": step})
    learning = replace(curriculum(site), timing=timing)
    return Plant(site.components, watched(site), heard, timing, learning, absolute, site.windows, site.estimated)


def cases_of(plant: Plant) -> dict[str, Case]:
    """Return what is known of each component that is bought for; what buys the same thing costs alike."""
    found = {}
    for key, config in plant.components.items():
        terms = plant.terms(key)
        if terms is not None:
            items = [line.item for line in config.job.lines.values()]
            found[key] = Case(terms, items[0] if items else key, bool(plant.rated(key)))
    return found
