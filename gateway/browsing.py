"""Tags of a machine from what a server shows under some paths, and what differs from the config later. Pure.

Promises: a node that the machine reads already is not added again, whatever its tag is called; keys are legal, free and
as short as they can be told apart; what cannot be a tag is counted, not hidden. What a person wrote is never changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.keys import LENGTH_MAX, free_key, key_of

Tags = Mapping[str, Mapping[str, Any]]
"""By tag, what the config says of it, in the words of the config."""


class Shown(Protocol):
    """A variable of a server, such as `connectors.opcua.inspection.Variable`."""

    @property
    def node(self) -> str:
        """As a config names it; empty when it cannot."""

    @property
    def path(self) -> str:
        """Where it was found."""

    @property
    def kind(self) -> str:
        """The name of its data type."""

    @property
    def unit(self) -> str:
        """`1` when the server names none."""

    @property
    def is_number(self) -> bool:
        """Whether it shows a number."""


@dataclass(frozen=True, slots=True)
class NewTags:
    """Tags to add, how many are there already, and how many variables can be none: no number, or no node to name."""

    tags: Tags
    known: int = 0
    words: int = 0
    unnamed: int = 0


def tags_of(found: Sequence[Shown], held: Tags) -> NewTags:
    """Return tags for what was found that a machine's tags do not read yet."""
    nodes = {str(tag.get("node")) for tag in held.values()}
    fresh = [each for each in found if each.node and each.is_number and each.node not in nodes]
    steps = [[key_of(step) for step in each.path.split("/")] for each in fresh]
    shortest = Counter(each[-1] for each in steps)
    taken = set(held)
    tags: dict[str, Mapping[str, Any]] = {}
    for each, names in zip(fresh, steps, strict=True):
        wishes = [names[-1]] if shortest[names[-1]] == 1 else []
        wishes += ["-".join(names[-count:]) for count in range(2, len(names) + 1)]
        fitting = [wish for wish in wishes if len(wish) <= LENGTH_MAX] or [names[-1]]
        key = free_key(fitting, taken)
        taken.add(key)
        tags[key] = {"node": each.node, "unit": each.unit}
    return NewTags(
        tags,
        known=sum(each.node in nodes for each in found if each.node),
        words=sum(not each.is_number for each in found if each.node and each.node not in nodes),
        unnamed=sum(not each.node for each in found),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """What a server shows otherwise than a machine's tags say.

    new: what its paths have and no tag reads. gone: tags whose node is no longer there. changed: by tag, what it was
    and what it is now, of its unit or of its data type.
    """

    new: Tags = field(default_factory=dict)
    gone: Sequence[str] = ()
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.new or self.gone or self.changed)

    def facts(self) -> dict[str, Any]:
        """Return it for programs."""
        changed = {tag: {"was": was, "is": now} for tag, (was, now) in self.changed.items()}
        return {
            "new": {tag: dict(values) for tag, values in self.new.items()},
            "gone": list(self.gone),
            "changed": changed,
        }

    def lines(self, machine: str) -> list[str]:
        """Return it as a difference is shown."""
        told = [f"+ {machine}/{tag}  {values['node']}" for tag, values in self.new.items()]
        told += [f"- {machine}/{tag}" for tag in self.gone]
        return told + [f"~ {machine}/{tag}  {was} -> {now}" for tag, (was, now) in self.changed.items()]


def difference(held: Tags, there: Mapping[str, Shown], under: Sequence[Shown], kinds: Mapping[str, str]) -> Difference:
    """Return how a server differs from a machine's tags.

    there: by node, whatever the tags read that the server still has. under: what it has under the paths that the
    machine's tags were found by. kinds: by node, the data type that it had when somebody looked before.
    """
    changed: dict[str, tuple[str, str]] = {}
    for key, tag in held.items():
        found = there.get(str(tag.get("node")))
        if found is None:
            continue
        before = kinds.get(found.node, found.kind)
        if found.unit not in ("1", tag.get("unit")):
            changed[key] = str(tag.get("unit")), found.unit
        elif before != found.kind:
            changed[key] = before, found.kind
    gone = [key for key, tag in held.items() if str(tag.get("node")) not in there]
    return Difference(tags_of(under, held).tags, gone, changed)
