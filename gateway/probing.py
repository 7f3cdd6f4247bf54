"""What only the machines can tell: each connection is opened once, read, and left.

Tags that do not exist are mistakes at the lines where they are written. Nothing is written to a machine or kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from gettext import gettext as _
from typing import Any, Final

from connectors.connector import ConnectionLost
from connectors.settings import connector_types
from gateway.config import Config
from gateway.yaml_file import Mistake, Place, YamlFile

PROBE_S: Final = 15.0
"""Seconds for one machine: three of the slowest handshakes seen."""


async def probe(config: Config, file: YamlFile, clock: Callable[[], datetime]) -> list[Mistake]:
    """Ask every machine once; return what it lacks, and which cannot be reached, where the file says it."""
    found = await asyncio.gather(*(_probe(config, file, name, clock) for name in config.connections))
    return sorted(mistake for each in found for mistake in each)


async def _probe(config: Config, file: YamlFile, name: str, clock: Callable[[], datetime]) -> list[Mistake]:
    settings, tags = config.connections[name], config.tags_of(name)
    kind: Any = connector_types()[settings.connector]
    connector = kind(name, settings, tags, clock=clock, state=config.connector_state)
    place: Place = ("connections", name)
    try:
        async with asyncio.timeout(PROBE_S):
            faults = await connector.probe()
    except ConnectionLost as error:
        return [file.mistake(place, str(error), at_key=True)]
    except TimeoutError:
        sentence = _("did not answer within {seconds:.0f} s").format(seconds=PROBE_S)
        return [file.mistake(place, sentence, at_key=True)]
    return [file.mistake(("machines", *_tag_place(fault.tag)), fault.reason) for fault in faults]


def _tag_place(key: str) -> Place:
    machine, _slash, tag = key.partition("/")
    return (machine, "tags", tag)
