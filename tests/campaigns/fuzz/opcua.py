"""`python -m tests.campaigns.fuzz.opcua --count 100000`: our decoder of publish responses against asyncua's.

Each sample is a well-formed response that both must read alike, and the same with some of its bytes changed, cut off or
added, which ours must read or call malformed, and nothing else, in bounded time. The last line is one JSON object; exit
0 if no sample differed and none escaped.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time

from connectors.opcua.decode import Malformed, ServiceFault, decode
from tests.campaigns.fuzz.messages import differences, response_of


def mangled(rng: random.Random, body: bytes) -> bytes:
    """Return a response with a few bytes changed, and perhaps an end too soon or too late."""
    changed = bytearray(body)
    for _ in range(rng.randrange(1, 6)):
        changed[rng.randrange(len(changed))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    cut = rng.random()
    if cut < 0.2:
        del changed[rng.randrange(len(changed)) :]
    elif cut < 0.3:
        changed += rng.randbytes(rng.randrange(1, 40))
    return bytes(changed)


def escape(body: bytes) -> str | None:
    """Return what decoding raised beside what it may raise, or None."""
    try:
        decode(body)
    except (Malformed, ServiceFault):
        return None
    except BaseException as error:
        return repr(error)[:200]
    return None


def samples(seed: int, count: int) -> tuple[list[str], int, float]:
    """Return what went wrong, how many mangled responses were read, and the longest time that one took in seconds."""
    wrong: list[str] = []
    read, slowest = 0, 0.0
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        body = response_of(rng)
        found = differences(body)
        if found:
            wrong.append(f"sample {number} differs: {', '.join(found[:5])}")
        if body:
            began = time.process_time()
            escaped = escape(mangled(rng, body))
            slowest = max(slowest, time.process_time() - began)
            read += escaped is None
            if escaped is not None:
                wrong.append(f"sample {number} escaped: {escaped}")
    return wrong, read, slowest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    began = time.monotonic()
    wrong, read, slowest = samples(given.seed, given.count)
    for each in wrong[:20]:
        print(each, file=sys.stderr)
    said = {
        "messages": given.count,
        "wrong": len(wrong),
        "mangled": read,
        "slowest_s": round(slowest, 4),
        "seed": given.seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(said))
    return 0 if not wrong and slowest < 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
