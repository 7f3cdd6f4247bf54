"""The command `toolcrib`: it answers `--version` at once and hands everything else to `gateway.commands`.

Exit codes: 0 it was done; 1 it failed, said in one sentence on stderr; 2 a mistake in the config or in the command.
Nothing heavy is imported before a command needs it: `--version` takes a few, `--help` some tens of milliseconds more
than Python itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gateway import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        sys.stdout.write(f"toolcrib {VERSION}\n")
        return 0
    if len(words) == 2 and words[0] == "run" and not words[1].startswith("-"):
        from gateway.lean import run_gateway  # it stays for years, so it does not carry the command line's library

        return run_gateway(words[1])
    from gateway.commands.application import run

    return run(words)
