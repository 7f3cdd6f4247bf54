"""What the page is given: whose it is, what it may read, through what it acts, and the names of things.

Plain values and ports; it opens nothing. `gateway.build` fills it in, and so does every test.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from aiohttp import web

from gateway.actions import Actions
from gateway.live import Live
from gateway.views import ComponentPlan
from gateway.views.circumstances import Circumstances
from gateway.web.accounts import Account
from maintenance.alarms.book import Overview
from maintenance.settings import ComponentSettings
from marketplace.store import Database, Owner
from marketplace.timing import Advice, TimingTerms

if TYPE_CHECKING:  # loaded only where a gateway is a shadow
    from gateway.shadow import Seen

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class TagInfo:
    """A tag as the config names it; `key` is `machine/tag`."""

    key: str
    unit: str


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """A component as the config names it; no terms: it is never bought for. symptoms: what people may say of it."""

    key: str
    name: str
    terms: TimingTerms | None = None
    stale_after: timedelta = timedelta(days=1)
    symptoms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """A machine as the config names it; `connection` is "" for a machine without telemetry."""

    key: str
    name: str
    connection: str
    tags: tuple[TagInfo, ...]
    components: tuple[ComponentInfo, ...]


def plans_of(machines: Mapping[str, MachineInfo]) -> dict[str, ComponentPlan]:
    """Return what views need to know about each component."""
    return {
        each.key: ComponentPlan(each.key, machine.name, each.name, each.terms, each.stale_after)
        for machine in machines.values()
        for each in machine.components
    }


@dataclass(frozen=True, slots=True)
class Names:
    """What keys are called: suppliers by key, and items (description) by key."""

    suppliers: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WebContext:
    """Everything that the page knows of the gateway.

    hosts: names by which the page may be asked for, without port. public_origin: `https://...` where a proxy stands in
    front, else "". secure: the browser speaks TLS, to us or to that proxy. metrics_token: who bears it may read
    /metrics from elsewhere; "" leaves it to this machine. ready: (is the gateway at work, why not). buying: why it is
    stopped, "" while it goes on. troubles: what does not work while the gateway does, in words. certificates: what
    people should know of those of connections, in sentences. alarms: condition alarms as they stand. speed: how many
    times faster than the wall plant time runs; 1 on a real site. metrics: Prometheus text and its content type.
    settings: how each component wears, by key; what learns together follows from it.
    circumstances: who supplies, and when machines may be worked on. advised: what timing said at the last step.
    shadow: what a gateway that buys nothing would have bought; None: it buys.
    peers: who alone may ask besides this computer, where the page is served in the clear; () lets in all.
    """

    title: str
    owner: Owner
    machines: Mapping[str, MachineInfo]
    names: Names
    people: Mapping[str, Account]
    spend: Database
    telemetry: Database
    actions: Actions
    live: Live
    time_zone: ZoneInfo
    currency: str
    clock: Callable[[], datetime]
    wall_clock: Callable[[], datetime]
    metrics: Callable[[], tuple[bytes, str]]
    ready: Callable[[], tuple[bool, str]]
    troubles: Callable[[], Sequence[str]] = tuple
    certificates: Callable[[], Sequence[str]] = tuple
    buying: Callable[[], str] = str
    alarms: Callable[[], Overview] = Overview
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    public_origin: str = ""
    secure: bool = False
    peers: tuple[Network, ...] = ()
    metrics_token: str = ""
    speed: float = 1.0
    language: str = "en"
    settings: Mapping[str, ComponentSettings] = field(default_factory=dict)
    circumstances: Callable[[], Circumstances] = Circumstances
    advised: Callable[[], Mapping[str, Advice]] = dict
    shadow: Callable[[], Seen] | None = None

    def plans(self) -> dict[str, ComponentPlan]:
        """Return what views need to know about each component."""
        return plans_of(self.machines)

    def called(self, key: str) -> str:
        """Return what people call a supplier, machine, component, tag or item; the key itself when it has no name."""
        found = self.component(key)
        if found is not None:
            return f"{found[0].name}, {found[1].name}"
        machine, _slash, tag = key.partition("/")
        if machine in self.machines:
            return tag.replace("-", " ").capitalize() or self.machines[machine].name
        return self.names.suppliers.get(key) or self.names.items.get(key) or key

    def component(self, key: str) -> tuple[MachineInfo, ComponentInfo] | None:
        """Return a component with its machine, None when the config has none of this key."""
        machine = self.machines.get(key.partition("/")[0])
        found = [] if machine is None else [each for each in machine.components if each.key == key]
        return (machine, found[0]) if machine is not None and found else None


CONTEXT = web.AppKey("context", WebContext)
