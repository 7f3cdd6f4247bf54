"""A config and what machines say of themselves, where a connection says `adopt: true`: both as one config.

Promises: what the file says wins; what a machine said once stays known while it is switched off, under the same keys; a
server that cannot be reached, or describes nonsense, costs a bounded time and leaves the config as it was without it.
The file is never written. Whoever wants to change what was adopted writes it out with 'toolcrib adopt'.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from connectors.connector import ConnectionLost
from connectors.opcua.settings import OpcUaSettings
from gateway.config import Config, judged
from gateway.durable import write_durably
from gateway.yaml_file import Mistakes, YamlFile, read

if TYPE_CHECKING:
    from connectors.opcua.machinery import DiscoveredMachine
    from gateway.adoption import Addition

VISIT_SECONDS: Final = 20.0
"""For all servers, which are asked at once: a hundred thousand nodes take most of it, and a gateway has to start."""

log = structlog.get_logger()


async def with_adopted(config: Config) -> Config:
    """Return the config with the machines that its servers describe; itself where no connection asks for it."""
    wanted = {
        name: settings
        for name, settings in config.connections.items()
        if isinstance(settings, OpcUaSettings) and settings.adopt
    }
    if not wanted:
        return config
    source = await asyncio.to_thread(read, config.path)
    described = await asyncio.gather(*(_ask(config, name, settings) for name, settings in wanted.items()))
    for name, said in zip(wanted, described, strict=True):
        known = await asyncio.to_thread(_recall, config.connector_state, name)
        config, source = await asyncio.to_thread(_joined, config, source, name, known, said)
    return config


async def _ask(config: Config, name: str, settings: OpcUaSettings) -> Sequence[DiscoveredMachine] | None:
    """What a server describes, or None when it cannot be asked now."""
    from gateway.visits import Target, machines_of

    try:
        async with asyncio.timeout(VISIT_SECONDS):
            found = await machines_of(Target(name, settings, config.connector_state))
    except (ConnectionLost, TimeoutError) as error:
        log.warning("what a server describes could not be asked for", connection=name, error=str(error) or "too slow")
        return None
    for note in found.notes:
        log.info("left out of what a server describes", connection=name, what=note)
    return found.machines


def _joined(
    config: Config, source: YamlFile, name: str, known: Mapping[str, Any], said: Sequence[DiscoveredMachine] | None
) -> tuple[Config, YamlFile]:
    """Add what was known and what is said now; a description that makes no valid config is not taken."""
    from gateway.adoption import addition_of, apply

    document = copy.deepcopy(source.data)
    before = _of(known, document)
    apply(document, before)
    if said is not None:
        fresh = addition_of(said, document, name)
        for note in fresh.notes:
            log.info("adopting", connection=name, what=note)
        apply(document, fresh)
        known = _merged(known, fresh)
    joined = YamlFile(source.name, source.text, document)
    try:
        made = judged(config.path, joined)
    except Mistakes as error:
        log.error("what a server describes makes no config; it is left out", connection=name, error=str(error)[:1000])
        return config, source
    if said is not None:
        _remember(config.connector_state, name, known)
    return made, joined


def _of(known: Mapping[str, Any], document: Mapping[str, Any]) -> Addition:
    """What was adopted before, less what the file says by now."""
    from gateway.adoption import Addition, MachineAddition

    machines: Mapping[str, Any] = document.get("machines") or {}
    items: Mapping[str, Any] = document.get("items") or {}
    added = []
    for key, each in (known.get("machines") or {}).items():
        held = machines.get(key) or {}
        tags, components = held.get("tags") or {}, held.get("components") or {}
        added.append(
            MachineAddition(
                key,
                key not in machines,
                each["head"],
                {tag: values for tag, values in each["tags"].items() if tag not in tags},
                {part: values for part, values in each["components"].items() if part not in components},
            )
        )
    return Addition(added, {key: each for key, each in (known.get("items") or {}).items() if key not in items})


def _merged(known: Mapping[str, Any], fresh: Addition) -> dict[str, Any]:
    machines = dict(known.get("machines") or {})
    for each in fresh.machines:
        held = machines.get(each.key, {"head": each.head, "tags": {}, "components": {}})
        machines[each.key] = {
            "head": held["head"],
            "tags": {**held["tags"], **each.tags},
            "components": {**held["components"], **each.components},
        }
    return {"machines": machines, "items": {**(known.get("items") or {}), **fresh.items}}


def _recall(directory: Path, name: str) -> Mapping[str, Any]:
    """Return what was adopted over a connection before; nothing if the file is no use."""
    try:
        found = json.loads(_file(directory, name).read_bytes())
        _of(found, {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(directory: Path, name: str, known: Mapping[str, Any]) -> None:
    path = _file(directory, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(path, json.dumps(known, default=dict).encode())
    except OSError as error:
        log.warning("what a server describes is not remembered", connection=name, error=str(error))


def _file(directory: Path, name: str) -> Path:
    return directory / "adopted" / f"{name}.json"
