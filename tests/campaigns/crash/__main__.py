"""The command: kill a gateway so many times while it buys, and count. See the package for what it does."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from tests.campaigns.crash.campaign import Campaign, Runner
from tests.campaigns.crash.points import named


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many kills the campaign shall have in all")
    parser.add_argument("--seed", type=int, default=None, help="of everything that is left to chance")
    parser.add_argument(
        "--campaign", type=Path, default=Path("data/campaigns/crash.json"), help="where the sum is kept"
    )
    parser.add_argument("--fresh", action="store_true", help="begin again, whatever was counted before")
    parser.add_argument("--lanes", type=int, default=2, help="how many gateways are killed side by side")
    parser.add_argument("--stops", type=float, default=0.1, help="share of starts that end with SIGTERM instead")
    parser.add_argument("--keep", action="store_true", help="keep all data, not only of what failed")
    parser.add_argument("--list", action="store_true", help="print every named fault point, and do nothing")
    return parser.parse_args()


def main() -> int:
    """Run; returns 0 only if nothing was bought twice, lost or unreserved, and the control bought twice."""
    asked = arguments()
    if asked.list:
        print("\n".join(named()))
        return 0
    seed = random.SystemRandom().getrandbits(32) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    campaign = Campaign.read(asked.campaign, fresh=asked.fresh)
    if campaign.failures:
        print(f"an earlier run failed, see {asked.campaign}; begin again with --fresh", flush=True)
    runner = Runner(campaign, asked.kills, seed, lanes=asked.lanes, stop_share=asked.stops, keep=asked.keep)
    try:
        runner.run()
    except KeyboardInterrupt:
        print("ended; what was counted is kept, and the next run goes on from there", flush=True)
        return 130
    print(json.dumps(campaign.figures()), flush=True)
    return 0 if campaign.held else 1


if __name__ == "__main__":
    sys.exit(main())
