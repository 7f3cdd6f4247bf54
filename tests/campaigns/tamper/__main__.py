"""`python -m tests.campaigns.tamper --count 10000 --seed 1`: the last line is one JSON object; exit 0 if all was found.

Every sample is one of `campaign.ACTS` in turn, with chance drawn from the seed and the sample's number, so that one
that was not found can be done again alone (`--first`). Two processes share the work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.campaigns.tamper.campaign import share
from tests.campaigns.tamper.evidence import gather


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="toolcrib-tamper-") as name:
        evidence = asyncio.run(gather(Path(name)))
        samples = range(given.first, given.first + given.count)
        shares = [
            (evidence, Path(name), samples[part :: given.processes], given.seed) for part in range(given.processes)
        ]
        with ProcessPoolExecutor(given.processes, multiprocessing.get_context("spawn")) as pool:
            lost = [each for found in pool.map(share, shares) for each in found]
    for each in lost:
        print(each, file=sys.stderr)
    unfound = sum("NOT FOUND" in each for each in lost)
    unplaced = sum("NOT PLACED" in each for each in lost)
    said = {
        "tampered": given.count,
        "found": given.count - unfound,
        "placed": given.count - unfound - unplaced,
        "seed": given.seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(said))
    return 0 if not lost else 1


if __name__ == "__main__":
    sys.exit(main())
