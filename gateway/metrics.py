"""Counts for plant IT, read from what already counts when somebody asks; nothing is counted twice.

Names follow the Prometheus conventions: base units, `_total` for what only grows. Every sample that was taken and is in
no store is in `toolcrib_samples_lost_total`, by the reason of its loss (`connectors.counters.Loss`) and where it was
lost: on a connection, or behind all of them. The library is imported at the first question: a gateway that nobody
scrapes does without its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from connectors.backlog import Backlog
from connectors.counters import Counters
from gateway.historian import Historian
from gateway.learning.phases import Phase
from gateway.learning.service import Learning
from gateway.live import Board
from gateway.pipeline import Pipeline
from gateway.schedule import Schedule
from maintenance.alarms.book import Overview
from maintenance.alarms.states import AlarmState

if TYPE_CHECKING:
    from prometheus_client.core import Metric

BEHIND_ALL: Final = ""
"""The label `connection` of what was lost in the backlog, where samples of all connections lie together."""

_PER_CONNECTION: Final[Mapping[str, tuple[str, Callable[[Counters], int]]]] = {
    "toolcrib_connection_samples": ("Samples taken from a connection.", lambda counted: counted.samples),
    "toolcrib_connection_batches": ("Batches taken from a connection.", lambda counted: counted.batches),
    "toolcrib_recalled_samples": ("Samples out of the machine's own history.", lambda counted: counted.recalled),
    "toolcrib_connection_attempts": ("Attempts to connect.", lambda counted: counted.attempts),
    "toolcrib_reconnects": ("Times that a connection came back.", lambda counted: counted.reconnects),
    "toolcrib_disconnects": ("Times that a connection was lost.", lambda counted: counted.disconnects),
    "toolcrib_decode_fallbacks": ("Values left to the library's decoder.", lambda counted: counted.fallbacks),
    "toolcrib_republished_messages": ("Messages sent again when asked.", lambda counted: counted.republished),
    "toolcrib_values_dated_off": ("Values dated too far from now.", lambda counted: counted.clock_off),
    "toolcrib_message_gaps": ("Times that messages were missing.", lambda counted: counted.gaps),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """What counts in a running gateway; `collect` keeps the promise of a Prometheus collector."""

    pipeline: Pipeline
    backlog: Backlog
    historian: Historian
    counters: Mapping[str, Counters]
    board: Board
    schedule: Schedule
    clock: Callable[[], datetime]
    alarms: Callable[[], Overview] = Overview
    learning: Learning | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily("toolcrib_samples", "Samples taken from machines.", value=self.pipeline.samples)
        yield from self._connections()
        yield from self._losses()
        yield from self._values()
        yield from self._backlog()
        yield from self._store()
        yield from self._alarms()
        if self.learning is not None:
            yield from _learned(self.learning)
        failures = CounterMetricFamily("toolcrib_act_failures", "Failed acts of the schedule.", labels=["act"])
        for act, count in self.schedule.failures.items():
            failures.add_metric([act], count)
        yield failures

    def _connections(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        connected = GaugeMetricFamily("toolcrib_connection_up", "1 while connected.", labels=["connection"])
        faults = GaugeMetricFamily("toolcrib_tag_faults", "Tags that cannot be read.", labels=["connection"])
        for link in self.board.links():
            connected.add_metric([link.name], float(link.connected))
            faults.add_metric([link.name], len(link.faults))
        yield from (connected, faults)
        for name, (told, of) in _PER_CONNECTION.items():
            family = CounterMetricFamily(name, told, labels=["connection"])
            for connection, counted in self.counters.items():
                family.add_metric([connection], of(counted))
            yield family
        lag = self.pipeline.intake.lag
        yield HistogramMetricFamily(
            "toolcrib_intake_lag_seconds",
            "From the newest time in a batch, on the machine's clock, until rules had seen it.",
            buckets=lag.cumulative(),
            sum_value=lag.seconds,
        )
        polls = HistogramMetricFamily("toolcrib_poll_seconds", "From request to answer.", labels=["connection"])
        for connection, counted in self.counters.items():
            polls.add_metric([connection], counted.polls.cumulative(), counted.polls.seconds)
        yield polls

    def _losses(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        lost = CounterMetricFamily(
            "toolcrib_samples_lost", "Samples that no store took, by reason.", labels=["connection", "reason"]
        )
        several = {name: counted.losses for name, counted in self.counters.items()}
        for connection, losses in {**several, BEHIND_ALL: self.backlog.losses}.items():
            for reason, samples in losses:
                lost.add_metric([connection, reason.value], samples)
        yield lost

    def _values(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        now, readings = self.clock(), self.board.readings().values()
        stale = sum(self.board.is_stale(reading, now) for reading in readings)
        oldest = min((reading.receive_time for reading in readings), default=now)
        yield GaugeMetricFamily("toolcrib_tags", "Tags with a value.", value=len(readings))
        yield GaugeMetricFamily("toolcrib_stale_tags", "Tags whose value is not the present one.", value=stale)
        yield GaugeMetricFamily(
            "toolcrib_oldest_value_seconds",
            "Since the tag that was silent longest was last heard.",
            value=max(0.0, (now - oldest).total_seconds()),
        )

    def _backlog(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        backlog = self.backlog
        yield GaugeMetricFamily("toolcrib_backlog_samples", "Samples to be stored yet.", value=backlog.depth)
        yield GaugeMetricFamily("toolcrib_backlog_bytes", "Bytes of the backlog on disk.", value=backlog.size_bytes)
        yield GaugeMetricFamily("toolcrib_backlog_seconds", "How far the store is behind.", value=backlog.age_seconds)
        yield CounterMetricFamily("toolcrib_store_failures", "Refusals of the store.", value=backlog.failures)

    def _store(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        store = self.historian
        yield CounterMetricFamily("toolcrib_stored_samples", "Samples written into the store.", value=store.samples)
        yield CounterMetricFamily(
            "toolcrib_forgotten_samples", "Samples dropped for the store's bound in bytes.", value=store.forgotten
        )
        yield CounterMetricFamily("toolcrib_broken_blocks", "Blocks of the store that were broken.", value=store.broken)
        yield GaugeMetricFamily("toolcrib_store_bytes", "What the store's pages hold.", value=store.used_bytes)

    def _alarms(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        seen = self.alarms()
        active = GaugeMetricFamily("toolcrib_alarms_active", "Condition alarms that are active.", labels=["priority"])
        for priority, count in seen.by_priority.items():
            active.add_metric([priority.word], count)
        yield active
        waiting = "Condition alarms that nobody has acknowledged."
        yield GaugeMetricFamily("toolcrib_alarms_unacknowledged", waiting, value=seen.waiting)
        yield GaugeMetricFamily("toolcrib_alarms_shelved", "Condition alarms put aside.", value=len(seen.shelved))
        hidden = len(seen.suppressed) + sum(
            each.state is AlarmState.SUPPRESSED for group in seen.groups for each in group.beneath
        )
        yield GaugeMetricFamily("toolcrib_alarms_suppressed", "Condition alarms that a cause explains.", value=hidden)
        rate = "Condition alarms raised in an hour, on average over the last day; six are manageable."
        yield GaugeMetricFamily("toolcrib_alarms_raised_per_hour", rate, value=seen.per_hour)
        yield GaugeMetricFamily("toolcrib_alarm_flood", "1 while more come than people can take.", value=seen.is_flood)
        yield CounterMetricFamily("toolcrib_alarms_dropped", "Alarms for which there was no room.", value=seen.dropped)


def _learned(learning: Learning) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    labels = ["kind", "wear"]
    phases = GaugeMetricFamily("toolcrib_learning_phase", "1 in the phase that it is in.", labels=[*labels, "phase"])
    lives = GaugeMetricFamily("toolcrib_learning_lives", "Ended lives that teach.", labels=labels)
    seconds = GaugeMetricFamily("toolcrib_learning_seconds", "What its last judgement took.", labels=labels)
    for kind, standing in learning.standings().items():
        named = [kind.name, kind.by.value]
        lives.add_metric(named, standing.lives)
        for phase in Phase:
            phases.add_metric([*named, phase.value], float(phase is standing.phase))
        if kind in learning.seconds:
            seconds.add_metric(named, learning.seconds[kind])
    yield from (phases, lives, seconds)
    yield CounterMetricFamily("toolcrib_learning_failures", "Judgements that failed.", value=learning.failures)
    yield CounterMetricFamily("toolcrib_frames_kept", "Frames of lives that were kept.", value=learning.frames.kept)
    yield CounterMetricFamily("toolcrib_frames_lost", "Frames of lives that were lost.", value=learning.frames.lost)


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
