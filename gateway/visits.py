"""What commands ask of OPC-UA servers: each visit opens a session, looks, and leaves.

A server is named by a connection of the config, which says how it is protected, or by its address and what the command
says. Promises: nothing is written to a server; what is cut off is said in the notes. Raises `ConnectionLost` and
`ConnectionRefused` as conversations do.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from connectors.connector import ConnectionLost
from connectors.opcua.settings import OpcUaSettings
from gateway.browsing import Difference, difference
from gateway.clock import real
from gateway.config import Config
from gateway.globs import matcher

if TYPE_CHECKING:
    from connectors.opcua.inspection import Variable
    from connectors.opcua.machinery import Findings

SCHEME: Final = "opc.tcp://"
LOOK_SECONDS: Final = 300.0
"""A hundred thousand nodes take twenty from a fast server; one that takes longer than this is looked at in parts."""


T = TypeVar("T")


class UnknownServer(Exception):
    """No server is meant by what was said; `str()` says what would be."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to visit: the connection's key (empty if the config has none of it), how to reach it, our memory."""

    connection: str
    settings: OpcUaSettings
    state: Path


def target_of(said: str, config: Config | None, *, insecure: bool, certificate: str | None) -> Target:
    """Return the server that a command means: a connection's key, or an address. Raises UnknownServer."""
    state = config.connector_state if config is not None else _own_state()
    connections = {} if config is None else config.connections
    known = {key: each for key, each in connections.items() if isinstance(each, OpcUaSettings)}
    if not said.startswith(SCHEME):
        if said not in known:
            there = ", ".join(known) or _("none")
            text = _("{said} is neither an address such as opc.tcp://10.0.0.5:4840 nor an OPC-UA connection: {there}")
            raise UnknownServer(text.format(said=said, there=there))
        return Target(said, known[said], state)
    key = next((key for key, each in known.items() if each.url.rstrip("/") == said.rstrip("/")), "")
    if key and not insecure and certificate is None:
        return Target(key, known[key], state)
    try:
        settings = OpcUaSettings(url=said, insecure=insecure, server_certificate=certificate)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UnknownServer(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return Target(key, settings, state)


def _own_state() -> Path:
    """Where our certificate is kept for those who have no config yet."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "toolcrib" / "connections"


def connection_of(target: Target) -> dict[str, Any]:
    """Return how a config names a server that it has no connection to."""
    said: dict[str, Any] = {"connector": "opcua", "url": target.settings.url}
    if target.settings.insecure:
        said["insecure"] = True
    elif target.settings.server_certificate is not None:
        said["server_certificate"] = target.settings.server_certificate
    return said


def host_of(target: Target) -> str:
    """Return the host's name or address, of which a connection's key is made."""
    return urlsplit(target.settings.url).hostname or "server"


@dataclass(frozen=True, slots=True)
class Look:
    """What a server shows: its variables, and what was left out."""

    variables: Sequence[Variable]
    notes: Sequence[str]


async def look(target: Target, globs: Sequence[str], *, properties: bool, nodes_max: int) -> Look:
    """Return the variables under some paths, with what they show."""
    from connectors.opcua.browse import browse
    from connectors.opcua.inspection import inspect
    from connectors.opcua.visit import visiting

    fits = matcher(globs)
    async with visiting(_name(target), target.settings, target.state, real()) as client:
        tree = await _answered(target, browse(client, nodes_max=nodes_max))
        places = [
            place
            for place, node in enumerate(tree.nodes)
            if node.is_variable and (properties or not node.is_property) and fits(node.path)
        ]
        shown = await _answered(target, inspect(client, tree, places))
    return Look(shown, tree.notes)


async def machines_of(target: Target) -> Findings:
    """Return the machines that a server describes."""
    from connectors.opcua.survey import survey
    from connectors.opcua.visit import visiting

    async with visiting(_name(target), target.settings, target.state, real()) as client:
        return await _answered(target, survey(client))


@dataclass(frozen=True, slots=True)
class Rescan:
    """How a server differs from a machine's tags, the data types that it has now, and what was left out."""

    difference: Difference
    kinds: Mapping[str, str]
    notes: Sequence[str]


async def rescan(
    target: Target, held: Mapping[str, Mapping[str, Any]], globs: Sequence[str], kinds: Mapping[str, str]
) -> Rescan:
    """Look again at what a machine's tags read, and at the paths by which they were found."""
    from connectors.opcua.browse import NODES_MAX, browse
    from connectors.opcua.inspection import inspect, missing
    from connectors.opcua.visit import visiting

    fits = matcher(globs) if globs else lambda _path: False
    read = {str(tag.get("node")) for tag in held.values()}
    async with visiting(_name(target), target.settings, target.state, real()) as client:
        tree = await _answered(target, browse(client, nodes_max=NODES_MAX))
        named = {place: tree.text_of(node.id) for place, node in enumerate(tree.nodes) if node.is_variable}
        places = [
            place
            for place, text in named.items()
            if text in read or (fits(tree.nodes[place].path) and not tree.nodes[place].is_property)
        ]
        shown = await _answered(target, inspect(client, tree, places))
        there = {each.node: each for each in shown if each.node in read}
        elsewhere = [node for node in read if node not in there]
        gone = await _answered(target, missing(client, elsewhere, tree.namespaces))
    held_there = {key: tag for key, tag in held.items() if str(tag.get("node")) not in set(elsewhere) - set(gone)}
    under = [each for each in shown if fits(each.path)]
    return Rescan(
        difference(held_there, there, under, kinds), {each.node: each.kind for each in shown if each.node}, tree.notes
    )


async def _answered(target: Target, call: Awaitable[T]) -> T:
    """Await what a server answers, for as long as one may take."""
    from connectors.opcua.session import asked

    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await asked(target.settings.url, target.state, call)
    except TimeoutError:
        text = _("{url} took longer than {seconds:.0f} s; look at less of it, by --most or another --glob")
        raise ConnectionLost(text.format(url=target.settings.url, seconds=LOOK_SECONDS)) from None


def _name(target: Target) -> str:
    return target.connection or target.settings.url
