"""The parent that children are forked from: everything is imported, no loop, thread or connection was ever opened.

It reads one JSON object a line, forks for it, and writes one back: `{"born": pid}`; when a child has ended,
`{"died": pid, "code": exit code, below zero for a signal}`. It ends with its input, and every child ends with it.
Usage: python -m tests.campaigns.crash.nursery
"""

from __future__ import annotations

import gc
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from tests.campaigns.crash import child, naive, sellers

Kind = tuple[Callable[[Any], None], Callable[..., Any]]
"""What a child of a kind runs, and the class of the orders that it gets."""
WAIT_S: Final = 30.0
"""Longer than any fork takes on a machine that is busy with other things."""


class Nursery:
    """The harness's end: asks for children, and is told when they have ended. Any thread may ask."""

    def __init__(self) -> None:
        quiet = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a library's pool is a thread, too
        command = (sys.executable, "-m", __name__)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=quiet)
        self._asking = threading.Lock()
        self._born: queue.Queue[int] = queue.Queue()
        self._ends: dict[int, queue.Queue[int]] = {}
        self._told = threading.Lock()
        self._listening = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._listening.start()

    def bear(self, kind: str, orders: Any) -> Child:
        """Fork a child of a kind."""
        assert self._process.stdin is not None
        with self._asking:
            self._process.stdin.write(json.dumps({"kind": kind, "orders": asdict(orders)}).encode() + b"\n")
            self._process.stdin.flush()
            pid = self._born.get(timeout=WAIT_S)
        return Child(pid, lambda timeout: self._end_of(pid).get(timeout=timeout))

    def close(self) -> None:
        """End it with every child."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._listening.join()
        self._process.stdout.close()

    def _end_of(self, pid: int) -> queue.Queue[int]:
        with self._told:
            return self._ends.setdefault(pid, queue.Queue())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "born" in said:
                with self._told:
                    self._ends[said["born"]] = queue.Queue()  # the number may have been another child's, long ended
                self._born.put(said["born"])
            else:
                self._end_of(said["died"]).put(said["code"])


class Child:
    """One process: its id, and waiting for its end."""

    def __init__(self, pid: int, wait: Callable[[float], int]) -> None:
        self.pid = pid
        self._wait = wait
        self._code: int | None = None

    def signal(self, number: int) -> None:
        """Send a signal; to one that has just ended by itself it does nothing."""
        if self._code is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def ended(self, timeout: float) -> int | None:
        """Return its exit code, below zero for a signal; None if it still lives after so many seconds."""
        if self._code is None:
            try:
                self._code = self._wait(timeout)
            except (queue.Empty, subprocess.TimeoutExpired):
                return None
        return self._code


def cold(module: str, orders: str) -> Child:
    """Start a module as a program of its own."""
    process = subprocess.Popen((sys.executable, "-m", module, orders), stdin=subprocess.DEVNULL)
    return Child(process.pid, lambda timeout: process.wait(timeout))


def main() -> None:
    """Import everything, and then fork for each line until there are no more."""
    child.preload()
    kinds: dict[str, Kind] = {
        "gateway": (child.run, child.GatewayOrders),
        "sellers": (sellers.run, sellers.SellersOrders),
        "naive": (naive.run, naive.NaiveOrders),
    }
    assert len(os.listdir("/proc/self/task")) == 1, "a library has started a thread"
    gc.collect()
    gc.freeze()
    Forking(kinds).serve()


class Forking:
    """The loop of the parent."""

    def __init__(self, kinds: dict[str, Kind]) -> None:
        self._kinds = kinds
        self._children: set[int] = set()
        self._awake, self._wake = os.pipe()
        for end in (self._awake, self._wake):
            os.set_blocking(end, False)

    def serve(self) -> None:
        """Fork and reap until the input ends; then nothing is left."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness hears it, and ends us by closing our input
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        lines, rest = sys.stdin.fileno(), b""
        while True:
            ready, _, _ = select.select([lines, self._awake], [], [])
            if self._awake in ready:
                os.read(self._awake, 4096)
                self._reap()
            if lines in ready:
                read = os.read(lines, 65536)
                if not read:
                    break
                *whole, rest = (rest + read).split(b"\n")
                for line in whole:
                    self._fork(json.loads(line))
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            _say({"died": pid, "code": os.waitstatus_to_exitcode(status)})

    def _fork(self, said: dict[str, Any]) -> None:
        run, make = self._kinds[said["kind"]]
        orders = make(**said["orders"])
        if said["kind"] == "gateway":
            child.config_of(orders.config)  # read once, for all of its children
        parent, pid = os.getpid(), os.fork()
        if pid > 0:
            self._children.add(pid)
            _say({"born": pid})
            return
        code = 1
        try:
            self._become_a_child(parent)
            run(orders)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _become_a_child(self, parent: int) -> None:
        child.die_with(parent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for ours in (sys.stdin.fileno(), sys.stdout.fileno()):
            os.dup2(nowhere, ours)
        for end in (self._awake, self._wake):
            os.close(end)


def _say(told: dict[str, Any]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
