"""Would every decision be the same again? Each is computed anew from what its own leaf recorded, and compared.

It promises that a decision counts as replayed only if the rules of this version give its recorded verdict to the byte,
from recorded inputs alone: the leaf, the order's text as it was hashed, and the policy as its own leaf holds it. No
clock, no ledger row and no supplier is asked. What an older version recorded too little of is counted and not called
the same. It reads in chunks and changes nothing; whether the leaves themselves are whole is for `verify`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.accounts import chunked
from marketplace.audit.log import AuditBroken, AuditEntry
from marketplace.authority.decisions import verdict_of
from marketplace.authority.mandate import hash_of
from marketplace.documents import canonical
from marketplace.store import Owner, audit_leaf, purchase_order

DECISIONS: Final = frozenset({"decision.made", "approval.given", "approval.blocked", "permit.issued"})
"""Kinds of leaves that hold a verdict with everything that it rests on."""
POLICY: Final = "policy.applied"
DIFFERENCES_MAX: Final = 100
"""Enough to see what a change of the rules did; a log of years must not fill the memory with sentences."""

_ORDER: Final = select(purchase_order.c.document).where(
    purchase_order.c.plant == bindparam("of_plant"), purchase_order.c.number == bindparam("of_number")
)


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it: decisions read, how many came out identical, how many were recorded by an older version with
    too little to compute them, and a sentence for each that differs (the first `DIFFERENCES_MAX`)."""

    decisions: int = 0
    identical: int = 0
    incomplete: int = 0
    differences: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every decision that can be computed again came out identical."""
        return self.decisions == self.identical + self.incomplete


class _Differs(Exception):
    """A decision does not come out as it was recorded; `str()` says in what."""


async def replay(connection: AsyncConnection, owner: Owner) -> Replay:
    """Compute every decision of a gateway again."""
    mine = (audit_leaf.c.plant == owner.plant, audit_leaf.c.gateway_id == owner.gateway_id)
    kinds = audit_leaf.c.kind.in_((*sorted(DECISIONS), POLICY))
    policies: dict[int, Mapping[str, Any]] = {}
    decisions = identical = incomplete = 0
    differences: list[str] = []
    async for row in chunked(connection, audit_leaf, audit_leaf.c.leaf_index, *mine, kinds):
        try:
            entry = log.parse(row.gateway_id, row.leaf_index, row.leaf)
            if entry.kind == POLICY:
                policies[entry.facts["version"]] = entry.facts["document"]
                continue
            decisions += 1
            if "act" not in entry.facts:
                incomplete += 1
                continue
            _compare(entry, await _order_text(connection, owner, entry), policies)
            identical += 1
        except (_Differs, AuditBroken, KeyError, TypeError, ValueError, ArithmeticError) as error:
            if len(differences) < DIFFERENCES_MAX:
                differences.append(_told(row.leaf_index, row.kind, row.subject, error))
    return Replay(decisions, identical, incomplete, tuple(differences))


def _told(index: int, kind: str, subject: str, error: Exception) -> str:
    said = str(error) if isinstance(error, _Differs) else _("it cannot be computed") + f" ({type(error).__name__})"
    return _("leaf {index}, {kind} on {subject}: {said}").format(index=index, kind=kind, subject=subject, said=said)


async def _order_text(connection: AsyncConnection, owner: Owner, entry: AuditEntry) -> str:
    """Return the text of the order that was decided on. Raises `_Differs` when it is not what was hashed."""
    of = {"of_plant": owner.plant, "of_number": entry.subject}
    text: str | None = (await connection.execute(_ORDER, of)).scalar_one_or_none()
    if text is None or hashlib.sha256(text.encode()).hexdigest() != entry.facts["order_hash"]:
        raise _Differs(_("the order's text is not the one that was decided on"))
    return text


def _compare(entry: AuditEntry, order_text: str, policies: Mapping[int, Mapping[str, Any]]) -> None:
    """Raise `_Differs` unless the leaf's own inputs give its verdict. Raises KeyError, TypeError, ValueError."""
    facts = entry.facts
    if "inputs" in facts and hash_of(facts["inputs"]) != facts["inputs_hash"]:
        raise _Differs(_("its inputs are not those of its hash"))
    computed = verdict_of(facts, json.loads(order_text), _policy(facts["policy"], policies))
    if canonical(computed) != canonical(facts["verdict"]):
        sentence = _("recorded as {recorded}, computed as {computed}")
        raise _Differs(sentence.format(recorded=_verdict(facts["verdict"]), computed=_verdict(computed)))


def _policy(told: Mapping[str, Any], policies: Mapping[int, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the policy that a decision names, as its leaf holds it. Raises `_Differs` when it is another."""
    if told["version"] == 0:
        return None
    document = policies.get(told["version"])
    if document is None or hash_of(document) != told["hash"]:
        raise _Differs(_("the log does not hold policy version {version} as it was").format(version=told["version"]))
    return document


def _verdict(verdict: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in sorted(verdict["parameters"].items()))
    return f"{verdict['outcome']} {verdict['rule']}" + (f" ({figures})" if figures else "")
