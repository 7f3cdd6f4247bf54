"""Seasons added up, over runs: a file keeps the sum, and a campaign goes on until it has as many kills as wanted.

A season is added whole once it is counted, by replacing the file; a run that is interrupted loses its seasons under
way and nothing else. Two seasons run beside each other, since one waits while the other works.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.campaigns.crash.nursery import Nursery
from tests.campaigns.crash.points import named
from tests.campaigns.crash.season import Plan, Season, Tally, naive_share

FORMAT: Final = 1
SEASON_KILLS: Final = 100
"""More, and databases grow so that a start takes longer than a life; fewer, and settling takes longer than killing."""
CONTROL_LEAST: Final = 20
FIGURES: Final = ("kills", "purchases", "duplicates", "lost", "unreserved", "control_duplicates", "seconds")


def say(line: str) -> None:
    """Print a line at once, also where a file is read from the other end."""
    print(line, flush=True)


@dataclass(slots=True)
class Campaign:
    """The sum of all runs, kept in a file if it is to be continued; `seconds` are of running, lanes side by side."""

    file: Path | None
    total: Tally = field(default_factory=Tally)
    failures: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path | None, *, fresh: bool) -> Campaign:
        """Return what a file keeps, or a new campaign."""
        if file is None or fresh or not file.exists():
            return cls(file)
        kept = json.loads(file.read_text())
        if kept["format"] != FORMAT:
            raise ValueError(f"{file} is of another version; begin again with --fresh")
        counters = {name: Counter(kept["total"][name]) for name in ("points", "in_flight")}
        total = Tally(**kept["total"] | counters)
        return cls(file, total, kept["failures"])

    def keep(self) -> None:
        """Write the sum down, whole or not at all."""
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        kept = {"format": FORMAT, "total": self.total.as_dict(), "failures": self.failures}
        fresh.write_text(json.dumps(kept, indent=1))
        fresh.replace(self.file)

    @property
    def held(self) -> bool:
        """Whether what was to be shown was shown."""
        total = self.total
        wrong = total.duplicates + total.lost + total.unreserved + total.slow_stops
        return wrong == 0 and not total.problems and not self.failures and total.control_duplicates > 0

    def figures(self) -> dict[str, Any]:
        """Return the last line."""
        told = self.total.as_dict()
        said: dict[str, Any] = {name: told[name] for name in FIGURES} | {"seconds": round(self.total.seconds, 1)}
        more = ("control_kills", "orders", "cold_starts", "idle_kills", "stops", "slow_stops", "resolved_by_people",
                "failed_passes", "audit_entries")  # fmt: skip
        said |= {name: told[name] for name in more}
        dead = {name for name, kills in self.total.points.items() if kills}
        return said | {"fault_points": len(dead & set(named())), "failures": len(self.failures)}


@dataclass(slots=True)
class Runner:
    """Runs seasons side by side until the campaign has its kills. keep: data stays, also of seasons that went well."""

    campaign: Campaign
    wanted: int
    seed: int
    lanes: int = 2
    season_kills: int = SEASON_KILLS
    stop_share: float = 0.1
    keep: bool = False
    say: Callable[[str], None] = say
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: int = 0
    _seasons: int = 0
    _share: int = 0
    _ended: bool = False

    def run(self) -> None:
        """Run until the sum is reached, or a season shows that something is wrong."""
        left = self.wanted - self.campaign.total.kills
        self._share = min(self.season_kills, -(-left // self.lanes))
        with ThreadPoolExecutor(self.lanes, thread_name_prefix="lane") as lanes:
            nursery = Nursery()
            try:
                for done in [lanes.submit(self._lane, nursery) for _ in range(self.lanes)]:
                    done.result()
            except BaseException:  # somebody ends the run: what is under way is not counted, and shows nothing
                self._ended = True
                raise
            finally:
                nursery.close()

    def _lane(self, nursery: Nursery) -> None:
        last = time.monotonic()
        while (plan := self._next()) is not None:
            season = Season(nursery, plan)
            try:
                season.run()
            except Exception as error:  # whatever it was: the seed and the data say more
                season.tally.problems.append(f"{type(error).__name__}: {error}")
            if self._ended:
                shutil.rmtree(plan.directory, ignore_errors=True)
                return
            now = time.monotonic()
            season.tally.seconds, last = (now - last) / self.lanes, now
            self._done(plan, season.tally)

    def _next(self) -> Plan | None:
        with self._lock:
            left = self.wanted - self.campaign.total.kills - self._under_way
            if left <= 0 or self.campaign.failures or self._ended:
                return None
            share = min(left, self._share)
            least = CONTROL_LEAST if self._seasons == 0 else 1
            self._seasons += 1
            self._under_way += share
            directory = Path(tempfile.mkdtemp(prefix="crash-"))
            seed = random.Random(f"{self.seed}:{self.campaign.total.kills}:{self._seasons}").getrandbits(32)
            hit = dict(self.campaign.total.points)
            return Plan(directory, seed, share, naive_share(share, least), self.stop_share, hit)

    def _done(self, plan: Plan, tally: Tally) -> None:
        with self._lock:
            self._under_way -= plan.kills
            if tally.problems:
                failure = {"seed": self.seed, "season": plan.seed, "directory": str(plan.directory)}
                self.campaign.failures.append(failure | {"problems": tally.problems[:50]})
                self.say(f"season {plan.seed} of seed {self.seed} failed; its data is kept in {plan.directory}")
                for problem in tally.problems[:50]:
                    self.say(f"  {problem}")
            elif not self.keep:
                shutil.rmtree(plan.directory)
            self.campaign.total.add(tally)
            self.campaign.keep()
            self.say(
                f"{self.campaign.total.kills} kills: {tally.kills} in {tally.seconds * self.lanes:.0f} s, "
                f"{tally.purchases} purchases, {tally.orders} orders at suppliers, "
                f"{tally.duplicates} duplicates, {tally.lost} lost, {tally.unreserved} unreserved, "
                f"control {tally.control_duplicates} duplicates"
            )
