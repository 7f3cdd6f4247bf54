"""One data directory's life: it is killed so many times while it buys, then it settles, then it is counted.

A kill counts only if a purchase was in flight when it fell, as the database itself says; others are repeated. One
start in twenty is a cold one. Some are asked to stop (SIGTERM) instead, which must take less than five seconds.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from gateway import control_client
from gateway.config import load
from tests.campaigns.crash import site
from tests.campaigns.crash.child import GatewayOrders
from tests.campaigns.crash.counting import Count, count, too_many
from tests.campaigns.crash.evidence import Books, Databases
from tests.campaigns.crash.naive import PREFIX, NaiveOrders, want_of
from tests.campaigns.crash.nursery import Child, Nursery, cold
from tests.campaigns.crash.people import People
from tests.campaigns.crash.points import around_a_send, named
from tests.campaigns.crash.sellers import SellersOrders

READY_S: Final = 120.0
"""For a cold start on a machine that is busy with much else; it takes one or two on one that is not."""
SOONEST_S, LATEST_S = 0.02, 0.4
"""When a kill falls, after the gateway was ready."""
LATEST_STARTS: Final = 1.5
"""On a busy machine everything takes longer: the latest kill may fall so many times later than the start took."""
POINT_S: Final = 0.6
"""How long a gateway may take to come to a fault point after it was ready; then it is killed where it is."""
STOP_S: Final = 5.0
SETTLE_S: Final = 90.0
COLD_SHARE, EARLY_SHARE, POINT_SHARE, SEND_SHARE = 0.05, 0.08, 0.55, 0.45
EARLY_STOP_SHARE: Final = 0.25
RANDOM: Final = "random"
NAIVE_S: Final = 0.25
NAIVE_WANTS: Final = 3
"""How many purchases the naive buyer begins for each kill."""


class SeasonFailed(Exception):
    """A season could not be run to its end; `str()` says why."""


@dataclass(slots=True)
class Tally:
    """What seasons came to.

    points: kills by fault point, `random` among them; one may fall at several. in_flight: kills that fell while at
    least one purchase was there, by where.
    """

    kills: int = 0
    purchases: int = 0
    duplicates: int = 0
    lost: int = 0
    unreserved: int = 0
    control_duplicates: int = 0
    control_kills: int = 0
    seconds: float = 0.0
    orders: int = 0
    cold_starts: int = 0
    idle_kills: int = 0
    stops: int = 0
    slow_stops: int = 0
    resolved_by_people: int = 0
    failed_passes: int = 0
    audit_entries: int = 0
    points: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        counted = {"points": self.points, "in_flight": self.in_flight}
        return asdict(self) | {name: dict(sorted(counter.items())) for name, counter in counted.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a season shall be. stop_share: of starts that end with SIGTERM. naive_kills: of the control."""

    directory: Path
    seed: int
    kills: int
    naive_kills: int
    stop_share: float = 0.1
    hit: Mapping[str, int] = field(default_factory=dict)


class Season:
    """Runs a plan; what it finds is in the tally that `run` returns."""

    def __init__(self, nursery: Nursery, plan: Plan) -> None:
        self.plan = plan
        self.tally = Tally()
        self._nursery = nursery
        self._chance = random.Random(plan.seed)
        self._clock = site.clock()
        self._data = plan.directory / "plant"
        self._config = self._data / "toolcrib.yaml"
        self._databases = Databases(self._data)
        self._log = plan.directory / "gateway.log"
        self._fell = plan.directory / "fell"
        self._alive: list[Child] = []

    def run(self) -> Tally:
        """Kill, settle, count. Raises `SeasonFailed`."""
        begun = time.monotonic()
        self._data.mkdir(parents=True)
        sellers, books = self._open_market()
        try:
            self._found(books)
            people = People(self._data, self._databases, books, self._clock, self.plan.seed)
            people.start()
            try:
                books.behave(bad=True)
                while self.tally.kills < self.plan.kills:
                    self._one_life()
                books.behave(bad=False)
                self._settle(people)
            finally:
                people.stop()
            self._control(books)
            self._count(books, people)
        finally:
            for child in (sellers, *self._alive):
                child.signal(signal.SIGKILL)
        self.tally.seconds = time.monotonic() - begun
        return self.tally

    def _open_market(self) -> tuple[Child, Books]:
        token, told = self.plan.directory / "token", self.plan.directory / "sellers.json"
        token.write_text("a-token-of-this-season")
        (self.plan.directory / "books").mkdir()
        orders = SellersOrders(
            str(self.plan.directory / "books"),
            self._clock.to_text(),
            self.plan.seed,
            str(told),
            token.read_text(),
            str(self.plan.directory / "sellers.log"),
        )
        sellers = self._nursery.bear("sellers", orders)
        deadline = time.monotonic() + READY_S
        while not told.exists():
            if time.monotonic() > deadline or sellers.ended(0) is not None:
                raise SeasonFailed("the suppliers do not open")
            time.sleep(0.01)
        books = Books(json.loads(told.read_text()), token.read_text())
        site.write_config(self._config, books.addresses, token)
        return sellers, books

    def _found(self, books: Books) -> None:
        """Let the plant begin: a policy is in force before anything is wanted."""
        books.behave(bad=False)
        gateway = self._start(())
        self._until_ready(gateway)
        control_client.act(self._data, "policy", {"text": json.dumps(site.policy())})
        self._end(gateway, signal.SIGTERM)

    # One life of the gateway.

    def _start(self, wanted: tuple[str, ...], *, cold_start: bool = False) -> Child:
        self._fell.unlink(missing_ok=True)
        skip = self._chance.choice((0, 0, 1, 2, 5)) if wanted else 0
        orders = GatewayOrders(
            str(self._config), self._clock.to_text(), wanted, skip, str(self._fell), str(self._log), os.getpid()
        )
        if cold_start:
            gateway = cold("tests.campaigns.crash.child", orders.to_text())
        else:
            gateway = self._nursery.bear("gateway", orders)
        self._alive = [gateway]
        return gateway

    def _until_ready(self, gateway: Child) -> bool:
        """Wait until it is ready; False when it died before."""
        try:
            control_client.wait_ready(self._data, READY_S, lambda: gateway.ended(0) is None)
        except TimeoutError:
            if gateway.ended(0) is None:
                raise SeasonFailed("a gateway does not become ready") from None
            return False
        return True

    def _one_life(self) -> None:
        if self._chance.random() < self.plan.stop_share:
            self._stopped_life()
            return
        cold_start = self._chance.random() < COLD_SHARE
        wanted = self._wanted() if self._chance.random() < POINT_SHARE else ()
        begun = time.monotonic()
        gateway = self._start(wanted, cold_start=cold_start)
        if not wanted and self._chance.random() < EARLY_SHARE:
            time.sleep(self._chance.uniform(0, SOONEST_S + LATEST_S))  # perhaps before it is ready
        elif self._until_ready(gateway):
            patience_s = 0.0 if cold_start else LATEST_STARTS * (time.monotonic() - begun)
            if wanted:
                gateway.ended(max(POINT_S, patience_s))
            else:
                time.sleep(self._chance.uniform(SOONEST_S, max(LATEST_S, patience_s)))
        code = self._end(gateway, signal.SIGKILL)
        if code != -signal.SIGKILL:
            raise SeasonFailed(f"a gateway ended by itself with {code}; {self._log} says why")
        self._note_kill(cold_start)

    def _note_kill(self, cold_start: bool) -> None:
        moving = self._databases.in_flight()
        if not moving:
            self.tally.idle_kills += 1
            return
        self.tally.in_flight.update(moving.keys())
        self.tally.kills += 1
        self.tally.cold_starts += cold_start
        fell = self._fell.read_text().split("\n") if self._fell.exists() else [RANDOM]
        self.tally.points.update(fell)

    def _wanted(self) -> tuple[str, ...]:
        """Return the fault points around a send, or those at which the fewest have died: half of all, or a few."""
        if self._chance.random() < SEND_SHARE:
            return tuple(around_a_send())
        hit = self.plan.hit
        ranked = sorted(named(), key=lambda name: (hit.get(name, 0) + self.tally.points[name], self._chance.random()))
        return tuple(ranked[: len(ranked) // self._chance.choice((2, 8))])

    def _stopped_life(self) -> None:
        """Ask a gateway to stop at any moment of its life; before it can hear, the signal itself may end it."""
        gateway = self._start(())
        heard_by_now = self._chance.random() >= EARLY_STOP_SHARE and self._until_ready(gateway)
        time.sleep(self._chance.uniform(0, LATEST_S))
        self.tally.stops += 1
        slow = self.tally.slow_stops
        code = self._end(gateway, signal.SIGTERM)
        if self.tally.slow_stops > slow:
            self.tally.problems.append(f"a gateway that was asked to stop did not in {STOP_S:.0f} s; see {self._log}")
        elif code != 0 and (heard_by_now or code != -signal.SIGTERM):
            self.tally.problems.append(f"a gateway that was asked to stop ended with {code}")

    def _end(self, gateway: Child, number: signal.Signals) -> int:
        """Send a signal and return the exit code; who does not stop in time is killed, and counted."""
        gateway.signal(number)
        code = gateway.ended(STOP_S)
        if code is None and number is signal.SIGTERM:
            self.tally.slow_stops += 1
            gateway.signal(signal.SIGKILL)
            code = gateway.ended(STOP_S)
        if code is None:
            raise SeasonFailed("a gateway survives SIGKILL")
        return code

    # Afterwards.

    def _settle(self, people: People) -> None:
        """Let one gateway run until nothing moves any more."""
        people.settling = True
        gateway = self._start(())
        self._until_ready(gateway)
        deadline = time.monotonic() + SETTLE_S
        while restless := self._databases.restless():
            if time.monotonic() > deadline:
                self.tally.problems += [f"does not settle: {each}" for each in restless]
                break
            time.sleep(0.05)
        self.tally.resolved_by_people = people.resolved
        if self._end(gateway, signal.SIGTERM) != 0:
            self.tally.problems.append(f"the last gateway did not stop well; {self._log} says why")

    def _control(self, books: Books) -> None:
        """Kill a naive buyer among the same suppliers, and let it finish."""
        wants: dict[str, str] = {}
        done = self.plan.directory / "naive"
        books.behave(bad=True)
        for kill in range(self.plan.naive_kills):
            for number in range(NAIVE_WANTS):
                wants[f"{PREFIX}{kill:05d}-{number}"] = site.NAMES[number % len(site.NAMES)]
            buyer = self._naive(wants, books, done)
            buyer.ended(self._chance.uniform(SOONEST_S, NAIVE_S))
            buyer.signal(signal.SIGKILL)
            buyer.ended(STOP_S)
        self.tally.control_kills = self.plan.naive_kills
        books.behave(bad=False)
        if self.plan.naive_kills and self._naive(wants, books, done).ended(READY_S) != 0:
            raise SeasonFailed("the naive buyer does not finish")

    def _naive(self, wants: Mapping[str, str], books: Books, done: Path) -> Child:
        token = (self.plan.directory / "token").read_text()
        return self._nursery.bear("naive", NaiveOrders(dict(wants), dict(books.addresses), token, str(done)))

    def _count(self, books: Books, people: People) -> None:
        taken = books.all()
        naive = [want_of(each.reference) for each in taken if each.reference.startswith(PREFIX) and each.live]
        ours = [each for each in taken if not each.reference.startswith(PREFIX)]
        plant = self._databases.plant()
        found: Count = count(ours, plant, people.told)
        tally = self.tally
        tally.duplicates, tally.lost = len(found.duplicates), len(found.lost)
        tally.unreserved, tally.control_duplicates = len(found.unreserved), too_many(naive)
        tally.purchases, tally.orders, tally.audit_entries = len(plant.wants), len(ours), len(plant.leaves)
        tally.failed_passes = self._log.read_text().count('"reconciliation_failed"')
        tally.problems += [*found.duplicates, *found.lost, *found.unreserved]
        tally.problems += self._databases.problems(load(self._config).owner)


def naive_share(kills: int, least: int) -> int:
    """Return how often the control is killed beside so many kills: one in twenty, and at least so often."""
    return max(math.ceil(kills * 0.05), least)
