"""A supervised conversation for each connection of the config, changed while they run.

Promises: a connection of which nothing changed sees nothing of a change; one with other tags reads them without ending
its conversation where its connector can; every other one is ended and begun anew by itself. Refuses to know what is
delivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connectors.settings import ConnectionSettings, TagSettings
from connectors.supervisor import Supervisor
from gateway.stopping import end_tasks

Wiring = Mapping[str, tuple[ConnectionSettings, Mapping[str, TagSettings]]]
"""By the name of a connection: its settings and its tags."""


class Conversations:
    """The conversations of a gateway; `supervisors` by name."""

    def __init__(self, supervise: Callable[[str], Supervisor]) -> None:
        """Take what makes the supervisor of a connection, which asks for its settings whenever it connects."""
        self.supervisors: dict[str, Supervisor] = {}
        self._supervise = supervise
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def begin(self, names: Iterable[str]) -> None:
        """Begin these."""
        for name in names:
            self.supervisors[name] = self._supervise(name)
            self._tasks[name] = asyncio.create_task(self.supervisors[name].run(), name=f"connection {name}")

    async def change(self, before: Wiring, after: Wiring) -> None:
        """Do what makes the difference; those that stay the same go on."""
        gone = [name for name in before if name not in after or after[name][0] != before[name][0]]
        retuned = [
            name
            for name in before
            if name not in gone and after[name][1] != before[name][1]
            if not await self.supervisors[name].adjust(after[name][1])
        ]
        await self.end([*gone, *retuned])
        self.begin(name for name in after if name not in self._tasks)

    async def again(self, name: str) -> None:
        """End a conversation and begin it anew at once, if there is one of that name."""
        if name in self._tasks:
            await self.end([name])
            self.begin([name])

    async def end(self, names: Iterable[str] | None = None) -> None:
        """End these, or all: at once, for each may take a while to say goodbye."""
        names = list(self._tasks) if names is None else list(names)
        tasks = [self._tasks.pop(name) for name in names]
        for name in names:
            del self.supervisors[name]
        await end_tasks(tasks, 0)
