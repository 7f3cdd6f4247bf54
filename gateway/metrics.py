"""Counts for plant IT, read from what already counts when somebody asks; nothing is counted twice.

Names follow the Prometheus conventions: base units, `_total` for what only grows. The library is imported at the first
question: a gateway that nobody scrapes does without its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.backlog import Backlog
from gateway.live import Board
from gateway.pipeline import Pipeline
from gateway.schedule import Schedule

if TYPE_CHECKING:
    from prometheus_client.core import Metric


@dataclass(frozen=True, slots=True)
class Counted:
    """What counts in a running gateway; `collect` keeps the promise of a Prometheus collector."""

    pipeline: Pipeline
    backlog: Backlog
    board: Board
    schedule: Schedule

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield CounterMetricFamily("toolcrib_samples", "Samples taken from machines.", value=self.pipeline.samples)
        yield CounterMetricFamily("toolcrib_samples_lost", "Samples that no store took.", value=self.backlog.lost)
        yield GaugeMetricFamily("toolcrib_backlog_samples", "Samples to be stored yet.", value=self.backlog.depth)
        connected = GaugeMetricFamily("toolcrib_connection_up", "1 while connected.", labels=["connection"])
        faults = GaugeMetricFamily("toolcrib_tag_faults", "Tags that cannot be read.", labels=["connection"])
        for link in self.board.links():
            connected.add_metric([link.name], float(link.connected))
            faults.add_metric([link.name], len(link.faults))
        failures = CounterMetricFamily("toolcrib_act_failures", "Failed acts of the schedule.", labels=["act"])
        for act, count in self.schedule.failures.items():
            failures.add_metric([act], count)
        yield from (connected, faults, failures)


def exposition(counted: Counted) -> tuple[bytes, str]:
    """Return the metrics as text and its content type."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Bridge(Collector):
        def collect(self) -> Iterator[Metric]:
            return counted.collect()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Bridge())
    return generate_latest(registry), CONTENT_TYPE_LATEST
