"""Asking a server what machines it describes: browse, learn the types, read the few values that matter.

The judging is `machinery`'s. Promises what `browse`, `ancestry` and `inspection` promise.
"""

from __future__ import annotations

from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uatypes import NodeId

from connectors.opcua.ancestry import Ancestry, ancestry
from connectors.opcua.browse import Tree, browse
from connectors.opcua.inspection import plain, read_values
from connectors.opcua.machinery import Findings, asked_of, assets_of


async def survey(client: Client) -> Findings:
    """Return the machines that a server describes. Raises what the stack raises."""
    tree = await browse(client)
    return await surveyed(client, tree)


async def surveyed(client: Client, tree: Tree) -> Findings:
    """Return the machines of a tree that was browsed already. Raises what the stack raises."""
    kinds: Ancestry = await ancestry(client, (node.type for node in tree.nodes), tree.namespaces)
    places = asked_of(tree, kinds)
    answers = await read_values(client, [tree.nodes[place].id for place in places], AttributeIds.Value)
    values = {place: plain(answer) for place, answer in zip(places, answers, strict=True)}
    indications = [each for each in values.values() if isinstance(each, NodeId)]
    more = await ancestry(client, indications, tree.namespaces) if indications else {}
    found = assets_of(tree, {**kinds, **more}, values)
    return Findings(found.machines, (*tree.notes, *found.notes))
