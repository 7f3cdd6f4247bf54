"""Another config while the gateway runs: the difference is applied, and what stays the same sees nothing of it.

Connections, machines, their tags and components, jobs, symptoms and maintenance windows may differ. A mistake anywhere,
or a change of anything else (money, people, suppliers, storage, the page), changes nothing and says so: those need a
restart. That a config was changed, by whom, and to which file by its hash, is in the audit log, for what machines tell
is what money follows.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.actions import Outcome
from gateway.config import Config, load
from gateway.conversations import Wiring
from gateway.learning.service import curriculum
from gateway.lives import first_lives
from gateway.self_description import with_adopted
from gateway.yaml_file import Mistakes
from maintenance.slots import Watched
from maintenance.symptoms import table_for
from marketplace.audit import log as audit
from marketplace.audit.actor import Actor

if TYPE_CHECKING:
    from gateway.build import Gateway

CHANGEABLE: Final = frozenset({"connections", "machines", "jobs", "symptoms", "maintenance_windows"})
"""Sections of the file that are applied without a restart."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Difference:
    """What is new, gone and otherwise in a config, by kind: connections, tags, jobs and so on; rows by their place."""

    new: Mapping[str, int]
    gone: Mapping[str, int]
    changed: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not any((*self.new.values(), *self.gone.values(), *self.changed.values()))

    def __str__(self) -> str:
        parts = []
        words = {"connections": _("connections"), "tags": _("tags")}
        words |= {"features": _("features"), "estimated": _("estimates"), "components": _("components")}
        words |= {"jobs": _("jobs"), "symptoms": _("symptoms"), "windows": _("maintenance windows")}
        for kind, text in words.items():
            counts = self.new[kind], self.gone[kind], self.changed[kind]
            if any(counts):
                parts.append(f"{text} +{counts[0]} -{counts[1]} ~{counts[2]}")
        return ", ".join(parts)


def difference(before: Config, after: Config) -> Difference:
    """Return how two configs differ in what may be changed."""
    old, new = _entries(before), _entries(after)
    pairs = {kind: (old[kind], new[kind]) for kind in old}
    return Difference(
        {kind: len(new.keys() - old.keys()) for kind, (old, new) in pairs.items()},
        {kind: len(old.keys() - new.keys()) for kind, (old, new) in pairs.items()},
        {kind: sum(new[key] != old[key] for key in new.keys() & old.keys()) for kind, (old, new) in pairs.items()},
    )


def _entries(config: Config) -> dict[str, Mapping[Any, Any]]:
    return {
        "connections": config.connections,
        "tags": config.tags,
        "features": config.features,
        "estimated": config.estimated,
        "components": config.components,
        "jobs": config.file.jobs,
        "symptoms": dict(enumerate(config.file.symptoms)),
        "windows": dict(enumerate(config.file.maintenance_windows)),
    }


def fixed_sections(before: Config, after: Config) -> list[str]:
    """Return the sections that differ and that only a restart applies."""
    names = [name for name in type(before.file).model_fields if name not in CHANGEABLE]
    return sorted(name for name in names if getattr(before.file, name) != getattr(after.file, name))


async def reload(gateway: Gateway, actor: Actor) -> Outcome:
    """Read the config's file again and apply the difference."""
    async with gateway.changing:
        try:
            after = await with_adopted(await asyncio.to_thread(load, gateway.config.path))
        except (Mistakes, OSError) as error:
            return Outcome(False, "CONFIG_REFUSED", _("{reason}\nNothing changed.").format(reason=error))
        before = gateway.config
        if fixed := fixed_sections(before, after):
            sentence = _("What changed under {sections} is applied by a restart only, so nothing changed.")
            return Outcome(False, "RESTART_NEEDED", sentence.format(sections=", ".join(fixed)))
        found = difference(before, after)
        if before.file.machines == after.file.machines and found.is_empty:
            return Outcome(True, "CONFIG_UNCHANGED", _("The config is as it was; nothing changed."))
        await _apply(gateway, before, after, actor)
    log.info("the config was reloaded", difference=str(found))
    return Outcome(True, "CONFIG_RELOADED", _("Applied: {difference}.").format(difference=found))


async def _apply(gateway: Gateway, before: Config, after: Config, actor: Actor) -> None:
    spend, now = gateway.databases.spend, gateway.clock()
    lives = await first_lives(spend, after.owner, after.components, now)
    facts = {"sha256": hashlib.sha256(after.path.read_bytes()).hexdigest(), **_models(after)}
    async with spend.write() as tx:
        await audit.append(tx, after.owner, "config.reloaded", after.path.name, actor, facts, now)
    begun_anew = gateway.monitor.change(watched(after), lives)
    if begun_anew:
        log.info("the config has changed; these components are learned anew", components=begun_anew)
    gateway.reconfigure(after)
    await gateway.pipeline.lives.recall()
    await gateway.learning.reconfigure(curriculum(after))
    await gateway.trusting.audit_choices()  # before anything is spoken with less protection than before
    await gateway.conversations.change(wiring(before), wiring(after))
    gone = [name for name in before.connections if name not in after.connections]
    heard = set(after.shown)
    gateway.board.forget(gone, [tag for tag in before.shown if tag not in heard])


def _models(config: Config) -> dict[str, str]:
    """Return the version of what every estimate was taught, where there is any: money follows what they say."""
    taught = {key: each.taught.version for key, each in config.estimated.items() if each.taught is not None}
    return {"models": ", ".join(f"{key} {version}" for key, version in sorted(taught.items()))} if taught else {}


def watched(config: Config) -> dict[str, Watched]:
    """Return the components that a config has watched."""
    units = {machine: config.units_of(machine) for machine in config.file.machines}
    file = config.file
    return {
        key: Watched(
            key.partition("/")[0], settings, units[key.partition("/")[0]], table_for(key, file.symptoms), file.jobs
        )
        for key, settings in config.components.items()
    }


def wiring(config: Config) -> Wiring:
    """Return what each connection of a config is to read."""
    return {name: (settings, config.tags_of(name)) for name, settings in config.connections.items()}
