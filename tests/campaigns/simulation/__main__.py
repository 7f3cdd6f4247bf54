"""Simulate plant-months: `python -m tests.campaigns.simulation --months 50 --seed 7`.

The last line is one JSON object; the exit code is 0 only if no invariant was broken. A broken one is told with what
replays it: the seed of its month, and the event.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

from tests.campaigns.simulation.sabotage import KINDS
from tests.campaigns.simulation.world import MONTH_DAYS, Month, simulate


def lived(arguments: argparse.Namespace) -> Iterator[Month]:
    """Yield the months as they end, lived in as many processes as asked for."""
    seeds = range(arguments.seed, arguments.seed + arguments.months)
    live = partial(simulate, days=arguments.days, sabotage=arguments.sabotage)
    if arguments.processes == 1 or arguments.months == 1:
        yield from map(live, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(arguments.processes, maxtasksperchild=20) as pool:
        yield from pool.imap_unordered(live, seeds)


def tell(month: Month, arguments: argparse.Namespace) -> None:
    """Print what a month was like, and what replays it if something broke."""
    say = partial(print, file=sys.stderr, flush=True)
    say(
        f"month of seed {month.seed}: {month.events} events, {month.orders} orders, {month.purchases} purchases, "
        f"{sum(month.faults.values())} faults, {month.seconds:.1f} s, trace {month.trace[:16]}, root {month.root[:16]}"
    )
    for each in month.violations:
        say(f"  broken in event {each.event}: {each.code}: {each.text}")
    if month.violations:
        say(*(f"    {line}" for line in month.recent), sep="\n")
        how = "" if arguments.sabotage == "none" else f" --sabotage {arguments.sabotage}"
        how += "" if arguments.days == MONTH_DAYS else f" --days {arguments.days:g}"
        say(f"  replay: python -m tests.campaigns.simulation --months 1 --seed {month.seed}{how}")


def main() -> int:
    """Read the command line, live the months, add them up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=float, default=MONTH_DAYS, help="length of a month")
    parser.add_argument("--sabotage", choices=sorted(KINDS), default="none", help="plant a bug that must be found")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    began = time.monotonic()
    sums: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    last = None
    for month in lived(arguments):
        tell(month, arguments)
        sums.update(
            events=month.events, orders=month.orders, purchases=month.purchases, violations=len(month.violations)
        )
        faults.update(month.faults)
        sums["fewest"] = min(month.purchases, sums["fewest"] or month.purchases)
        last = month
    print(
        json.dumps(
            {
                "months": arguments.months,
                "events": sums["events"],
                "violations": sums["violations"],
                "seed": arguments.seed,
                "seconds": round(time.monotonic() - began, 1),
                "orders": sums["orders"],
                "purchases": sums["purchases"],
                "purchases_fewest": sums["fewest"],
                "faults": dict(sorted(faults.items())),
                **({"trace": last.trace, "root": last.root} if last and arguments.months == 1 else {}),
            }
        )
    )
    return 0 if sums["violations"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
