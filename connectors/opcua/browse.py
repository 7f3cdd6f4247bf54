"""What a server has: its objects and variables, found by browsing from its Objects folder.

Promises: each node once, by the shortest of its paths, in the order in which the server names them; circles end; depth,
nodes and answers are bounded, and whatever was cut off is said with its place; the server's own limits and continuation
points are kept to; several requests are on their way at once. Refuses to read values and to know what nodes mean.
Browse and BrowseNext: OPC 10000-4, 5.9.2 and 5.9.3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any, Final, TypeVar

import asyncua.ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from connectors.opcua.limits import portions
from connectors.opcua.nodes import resolve

ua: Any = asyncua.ua  # its generated classes take plain numbers and texts, which their annotations do not say

NODES_MAX: Final = 250_000
"""More than any server that we met has; a gigabyte of ours."""
DEPTH_MAX: Final = 40
"""Companion specifications nest ten deep; a path of forty is a server that makes them up."""
NAME_MAX: Final = 512
"""Characters of a BrowseName (OPC 10000-3, 8.3)."""
IN_FLIGHT: Final = 3
"""Requests on their way: the server works while we decode, and small ones are not drowned."""
FOLDERS_PER_REQUEST, FOLDER_REFERENCES = 25, 500
LEAVES_PER_REQUEST, LEAF_REFERENCES = 400, 20
"""Folders have many children and leaves a few properties; either way an answer is at most 2 MB."""
STALE_PAGES: Final = 3
"""Pages of one node that bring nothing new before its browse is taken to be endless."""
PAGES_MAX: Final = 20_000
"""Of one node: a small controller names ten children at once."""
NOTES_MAX: Final = 100

OBJECTS: Final = ua.NodeId(ObjectIds.ObjectsFolder)
_SERVER: Final = ua.NodeId(ObjectIds.Server)
_OBJECT, _VARIABLE = 1, 2
_MAX_NODES_PER_BROWSE: Final = ua.NodeId(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse)


@dataclass(slots=True, eq=False)
class Node:
    """A node as it was met.

    name, space: its BrowseName and the URI of that name's namespace. parent: its place in the tree, None at the top.
    reference: the number of the standard's reference type it was found by, or 0 for another one's. type: of what type
    it is, as the server numbers its namespaces.
    """

    id: asyncua.ua.NodeId
    name: str
    space: str
    parent: int | None
    is_variable: bool
    reference: int
    type: asyncua.ua.NodeId
    path: str

    @property
    def is_property(self) -> bool:
        """Whether it describes the node above it, as an engineering unit does."""
        return self.reference == ObjectIds.HasProperty


@dataclass(slots=True)
class Tree:
    """Everything that was found, parents before their children; `notes` say what was left out and why."""

    namespaces: Sequence[str]
    nodes: list[Node] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _children: dict[int, list[int]] = field(default_factory=dict)

    def add(self, node: Node) -> int:
        """Take a node and return its place."""
        place = len(self.nodes)
        self.nodes.append(node)
        if node.parent is not None:
            self._children.setdefault(node.parent, []).append(place)
        return place

    def children(self, place: int) -> Sequence[int]:
        """Return the places of the nodes right below one."""
        return self._children.get(place, ())

    def below(self, place: int) -> Iterator[int]:
        """Yield the places of all nodes below one, nearest first."""
        left = list(self.children(place))
        while left:
            yield from left
            left = [each for above in left for each in self.children(above)]

    def child(self, place: int, name: str, space: str | None = None) -> int | None:
        """Return the child of that BrowseName (in that namespace), or None."""
        for each in self.children(place):
            if self.nodes[each].name == name and space in (None, self.nodes[each].space):
                return each
        return None

    def note(self, text: str) -> None:
        """Say that something was left out; a server that is all wrong does not fill the memory with it."""
        if len(self.notes) < NOTES_MAX:
            self.notes.append(text)

    def text_of(self, node: asyncua.ua.NodeId) -> str | None:
        """Return how a config names a node, or None for a namespace that the server does not list."""
        return node_text(node, self.namespaces)


def node_text(node: asyncua.ua.NodeId, namespaces: Sequence[str]) -> str | None:
    """Return `nsu=URI;s=NAME` for a node, or None for one that could not be found again by what can be written."""
    index = int(node.NamespaceIndex)
    if index >= len(namespaces) or (index and not namespaces[index]):
        return None
    plain: str = ua.NodeId(node.Identifier, 0, node.NodeIdType).to_string()
    text = f"nsu={namespaces[index]};{plain}" if index else plain
    try:
        return text if text.isprintable() and resolve(text, namespaces) == node else None
    except ua.UaError:  # the library cannot read what it wrote
        return None


async def browse(client: Client, start: asyncua.ua.NodeId = OBJECTS, *, nodes_max: int = NODES_MAX) -> Tree:
    """Return what is below a node; the server's own diagnostics are left out. Raises what the stack raises."""
    tree = Tree(await client.get_namespace_array())
    most = await nodes_per_browse(client)
    level = [tree.add(Node(start, "Objects" if start == OBJECTS else "", "", None, False, 0, ua.NodeId(), ""))]
    seen = {start, _SERVER}
    for depth in range(DEPTH_MAX + 1):
        if depth == DEPTH_MAX and level:
            tree.note(_("{path} and others: too deep, left out below").format(path=tree.nodes[level[0]].path))
            break
        answers = await _answers(client, tree, level, most, nodes_max)
        level = list(_taken(tree, answers, seen, nodes_max))
        if not level or len(tree.nodes) >= nodes_max:
            break
    return tree


async def nodes_per_browse(client: Client) -> int:
    """Return how many nodes a server takes in one browse. Raises what the stack raises."""
    (answer,) = await client.uaclient.session.read_attributes([_MAX_NODES_PER_BROWSE], AttributeIds.Value)
    said = answer.Value.Value if answer.Value is not None else None
    return said if isinstance(said, int) and said > 0 else LEAVES_PER_REQUEST  # 0 is "no limit" by the standard


_Answer = tuple[int, list[Any]]
T = TypeVar("T")


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what several calls return, in their order; the first that fails ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as several:  # whoever asked for one thing is told one reason
        raise several.exceptions[0] from several
    return [task.result() for task in tasks]


async def _answers(client: Client, tree: Tree, level: Sequence[int], most: int, nodes_max: int) -> list[_Answer]:
    """Return the references of every node of a level, in the order of the level."""
    folders = [place for place in level if not tree.nodes[place].is_variable]
    leaves = [place for place in level if tree.nodes[place].is_variable]
    gate = asyncio.Semaphore(IN_FLIGHT)
    calls = [
        _page(client, tree, portion, references, gate, nodes_max)
        for places, size, references in (
            (folders, FOLDERS_PER_REQUEST, FOLDER_REFERENCES),
            (leaves, LEAVES_PER_REQUEST, LEAF_REFERENCES),
        )
        for portion in portions(places, min(size, most))
    ]
    found: dict[int, list[Any]] = {}
    for answer in await together(calls):
        found |= answer
    return [(place, found[place]) for place in level]


async def _page(
    client: Client, tree: Tree, places: Sequence[int], references: int, gate: asyncio.Semaphore, nodes_max: int
) -> dict[int, list[Any]]:
    """Browse some nodes in one request, and then whatever is left of each."""
    async with gate:
        parameters = ua.BrowseParameters(
            RequestedMaxReferencesPerNode=references, NodesToBrowse=[_asked(tree.nodes[place].id) for place in places]
        )
        results = await client.uaclient.session.browse(parameters)
        found: dict[int, list[Any]] = {place: [] for place in places}
        points = {}
        for place, result in zip(places, results, strict=True):
            _take(tree, place, result, found[place])
            if result.ContinuationPoint:
                points[place] = _Rest(result.ContinuationPoint, {each.NodeId for each in found[place]})
        while points:
            points = await _next(client, tree, points, found, nodes_max)
        return found


def _asked(node: asyncua.ua.NodeId) -> Any:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ObjectIds.HierarchicalReferences),
        IncludeSubtypes=True,
        NodeClassMask=_OBJECT | _VARIABLE,
        ResultMask=ua.BrowseResultMask.All,
    )


@dataclass(slots=True)
class _Rest:
    """What a node still has to say: where to go on, what it said, how many answers, and how many without news."""

    point: bytes
    known: set[Any]
    pages: int = 0
    stale: int = 0


async def _next(
    client: Client, tree: Tree, points: dict[int, _Rest], found: dict[int, list[Any]], nodes_max: int
) -> dict[int, _Rest]:
    """Ask for the next page of every node that has one; return those that have yet another."""
    asked = ua.BrowseNextParameters(False, [rest.point for rest in points.values()])
    results = await client.uaclient.session.browse_next(asked)
    left, cut = {}, []
    for (place, rest), result in zip(points.items(), results, strict=True):
        page: list[Any] = []
        _take(tree, place, result, page)
        news = [each for each in page if each.NodeId not in rest.known]
        rest.known.update(each.NodeId for each in news)
        rest.pages += 1
        rest.stale = 0 if news else rest.stale + 1
        found[place] += news
        rest.point = result.ContinuationPoint or b""
        endless = rest.stale == STALE_PAGES or rest.pages == PAGES_MAX
        if rest.point and endless:
            text = _("{path}: the server's list of what is below it has no end; cut after {count} nodes")
            tree.note(text.format(path=tree.nodes[place].path or "Objects", count=len(rest.known)))
        if rest.point and (endless or len(rest.known) > nodes_max):  # the latter is said when the tree is full
            cut.append(rest.point)
        elif rest.point:
            left[place] = rest
    if cut:
        await client.uaclient.session.browse_next(ua.BrowseNextParameters(True, cut))
    return left


def _take(tree: Tree, place: int, result: Any, into: list[Any]) -> None:
    if not result.StatusCode.is_good():
        path = tree.nodes[place].path or "Objects"
        tree.note(_("{path}: {reason}").format(path=path, reason=result.StatusCode.name))
        return
    into += result.References or ()


def _taken(tree: Tree, answers: Sequence[_Answer], seen: set[Any], nodes_max: int) -> Iterator[int]:
    """Take what is new into the tree; yields its places."""
    for place, references in answers:
        for each in references:
            if each.NodeId in seen or getattr(each.NodeId, "ServerIndex", None):  # another server's
                continue
            if len(tree.nodes) >= nodes_max:
                path = tree.nodes[place].path or "Objects"
                tree.note(_("{path}: more than {most} nodes, the rest is left out").format(path=path, most=nodes_max))
                return
            seen.add(each.NodeId)
            yield tree.add(_node(tree, place, each))


def _node(tree: Tree, parent: int, reference: Any) -> Node:
    index = int(reference.BrowseName.NamespaceIndex)
    name = str(reference.BrowseName.Name or "")[:NAME_MAX]
    above = tree.nodes[parent].path
    step = name.replace("&", "&&").replace("/", "&/")
    kind = reference.ReferenceTypeId
    return Node(
        id=reference.NodeId,
        name=name,
        space=tree.namespaces[index] if index < len(tree.namespaces) else "",
        parent=parent,
        is_variable=int(reference.NodeClass) == _VARIABLE,
        reference=int(kind.Identifier) if kind.NamespaceIndex == 0 else 0,
        type=reference.TypeDefinition,
        path=f"{above}/{step}" if above else step,
    )
