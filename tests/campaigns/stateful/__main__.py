"""Run the stateful test often: `python -m tests.campaigns.stateful --runs 5000 --seed 7`.

The last line is one JSON object; the exit code is 0 only if no invariant was broken in any run. Hypothesis prints the
shortest story that breaks one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time

from tests.campaigns.stateful.campaign import STEPS, campaign


def main() -> int:
    """Share the runs out to processes, and add them up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    began = time.monotonic()
    shares = [len(range(number, arguments.runs, arguments.processes)) for number in range(arguments.processes)]
    work = [(share, arguments.seed + number) for number, share in enumerate(shares) if share]
    with multiprocessing.get_context("spawn").Pool(len(work)) as pool:
        done = pool.starmap(campaign, work)
    broken = [told for _runs, _overspent, told in done if told]
    for told in broken:
        print(told, file=sys.stderr)
    counted = {
        "runs": sum(runs for runs, _, _ in done),
        "overspent": sum(overspent for _, overspent, _ in done),
        "seed": arguments.seed,
        "seconds": round(time.monotonic() - began, 1),
        "steps": STEPS,
        "broken": len(broken),
    }
    print(json.dumps(counted))
    return 0 if not broken and counted["runs"] >= arguments.runs else 1


if __name__ == "__main__":
    sys.exit(main())
