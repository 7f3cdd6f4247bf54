"""Counts for plant IT, read from what already counts when somebody asks; nothing is counted twice.

Names follow the Prometheus conventions: base units, `_total` for what only grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.backlog import Backlog
from gateway.live import Board
from gateway.pipeline import Pipeline
from gateway.schedule import Schedule


class GatewayCollector(Collector):
    """Looks at the running gateway."""

    def __init__(self, pipeline: Pipeline, backlog: Backlog, board: Board, schedule: Schedule) -> None:
        self._pipeline = pipeline
        self._backlog = backlog
        self._board = board
        self._schedule = schedule

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        yield _counter("toolcrib_samples", "Samples taken from machines.", self._pipeline.samples)
        yield _counter("toolcrib_samples_lost", "Samples that no store took.", self._backlog.lost)
        yield GaugeMetricFamily(
            "toolcrib_backlog_samples", "Samples that wait to be stored.", value=self._backlog.depth
        )
        connected = GaugeMetricFamily("toolcrib_connection_up", "1 while connected.", labels=["connection"])
        faults = GaugeMetricFamily("toolcrib_tag_faults", "Tags that cannot be read.", labels=["connection"])
        for link in self._board.links():
            connected.add_metric([link.name], float(link.connected))
            faults.add_metric([link.name], len(link.faults))
        yield connected
        yield faults
        failures = CounterMetricFamily("toolcrib_act_failures", "Failed acts of the schedule.", labels=["act"])
        for act, count in self._schedule.failures.items():
            failures.add_metric([act], count)
        yield failures


def _counter(name: str, help_text: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, help_text, value=value)


def registry_of(make: Callable[[], Collector]) -> CollectorRegistry:
    """Return a registry of its own for one gateway, so that two in one process do not collide."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(make())
    return registry
