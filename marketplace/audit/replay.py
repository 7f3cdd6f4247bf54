"""Would every decision be the same again? Each is computed anew from what its own leaf recorded, and compared.

That is: whether to buy now, from whom, whether it may be, whether a signature counts, whether it may leave the plant.

It promises that a decision counts as replayed only if the rules of this version give its recorded verdict to the byte,
from recorded inputs alone: the leaf, and the order's text, the want's reason and the suppliers' offers as they were
hashed, and the policy as its own leaf holds it. No clock, no ledger row and no supplier is asked. What an older
version recorded too little of is counted and not called the same. It reads in chunks and changes nothing; whether the
leaves themselves are whole is for `verify`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.accounts import chunked
from marketplace.audit.log import AuditBroken, AuditEntry
from marketplace.authority.decisions import verdict_of
from marketplace.authority.mandate import hash_of
from marketplace.documents import canonical
from marketplace.ordering import decisions as wants
from marketplace.ordering.offers import offers
from marketplace.store import Owner, audit_leaf, purchase_order, requisition

DECISIONS: Final = frozenset({"decision.made", "approval.given", "approval.blocked", "permit.issued"})
"""Kinds of leaves that hold a verdict with everything that it rests on."""
WANTED: Final = "requisition.raised"
"""Holds what timing advised; a want is raised on it, or by a named person who overrides it."""
AWARDED: Final = frozenset({"requisition.proposed", "requisition.needed"})
"""Hold an award, or that no offer could serve."""
POLICY: Final = "policy.applied"
DIFFERENCES_MAX: Final = 100
"""Enough to see what a change of the rules did; a log of years must not fill the memory with sentences."""

_ORDER: Final = select(purchase_order.c.document).where(
    purchase_order.c.plant == bindparam("of_plant"), purchase_order.c.number == bindparam("of_subject")
)
_REASON: Final = select(requisition.c.reason).where(
    requisition.c.plant == bindparam("of_plant"), requisition.c.id == bindparam("of_subject")
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
    kinds = audit_leaf.c.kind.in_((*sorted(DECISIONS), WANTED, *sorted(AWARDED), POLICY))
    policies: dict[int, Mapping[str, Any]] = {}
    decisions = identical = incomplete = 0
    differences: list[str] = []
    async for row in chunked(connection, audit_leaf, audit_leaf.c.leaf_index, *mine, kinds):
        try:
            entry = log.parse(row.gateway_id, row.leaf_index, row.leaf)
            if entry.kind == POLICY:
                policies[entry.facts["version"]] = entry.facts["document"]
                continue
            if not _decides(entry):
                continue
            decisions += 1
            if "act" not in entry.facts:
                incomplete += 1
                continue
            await _compare(connection, owner, entry, policies)
            identical += 1
        except (_Differs, AuditBroken, KeyError, TypeError, ValueError, ArithmeticError) as error:
            if len(differences) < DIFFERENCES_MAX:
                differences.append(_told(row.leaf_index, row.kind, row.subject, error))
    return Replay(decisions, identical, incomplete, tuple(differences))


def _decides(entry: AuditEntry) -> bool:
    """Return whether an entry is of a decision: what is needed again for another reason than the offers is not, and
    the rest of what was wanted already needs none."""
    if entry.kind == WANTED:
        return "rest_of" not in entry.facts
    return entry.kind != "requisition.needed" or entry.facts.get("code") == wants.NO_AWARD


def _told(index: int, kind: str, subject: str, error: Exception) -> str:
    said = str(error) if isinstance(error, _Differs) else _("it cannot be computed") + f" ({type(error).__name__})"
    return _("leaf {index}, {kind} on {subject}: {said}").format(index=index, kind=kind, subject=subject, said=said)


async def _compare(
    connection: AsyncConnection, owner: Owner, entry: AuditEntry, policies: Mapping[int, Mapping[str, Any]]
) -> None:
    """Raise `_Differs` unless the recorded inputs give the leaf's verdict. Raises KeyError, TypeError, ValueError."""
    facts = entry.facts
    if entry.kind in DECISIONS:
        text = await _text(connection, owner, _ORDER, entry.subject, facts["order_hash"], _("the order's text"))
        _require_same(facts["verdict"], _verdict_of(facts, text, policies), _verdict)
        return
    reason = await _text(connection, owner, _REASON, entry.subject, facts["reason_hash"], _("the want's reason"))
    if entry.kind == WANTED:
        _require_same({name: facts[name] for name in ("code", "parameters")}, wants.advised(reason), _advice)
        return
    offered = await offers(connection, owner, entry.subject, facts["round"])
    if wants.offers_hash(offered) != facts["offers_hash"]:
        raise _Differs(_("its offers are not those that were weighed"))
    _require_same(facts["verdict"], wants.awarded(facts, reason, offered), wants.told)


async def _text(
    connection: AsyncConnection, owner: Owner, query: Select[Any], subject: str, digest: str, what: str
) -> str:
    """Return a text that a decision rests on. Raises `_Differs` when it is not what was hashed."""
    of = {"of_plant": owner.plant, "of_subject": subject}
    text: str | None = (await connection.execute(query, of)).scalar_one_or_none()
    if text is None or hashlib.sha256(text.encode()).hexdigest() != digest:
        raise _Differs(_("{what} is not the one that was decided on").format(what=what))
    return text


def _verdict_of(facts: Mapping[str, Any], order_text: str, policies: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the verdict that a leaf's own inputs give. Raises `_Differs` when they are not those of its hash."""
    if "inputs" in facts and hash_of(facts["inputs"]) != facts["inputs_hash"]:
        raise _Differs(_("its inputs are not those of its hash"))
    return verdict_of(facts, json.loads(order_text), _policy(facts["policy"], policies))


def _require_same(
    recorded: Mapping[str, Any], computed: Mapping[str, Any], said: Callable[[Mapping[str, Any]], str]
) -> None:
    if canonical(computed) != canonical(recorded):
        sentence = _("recorded as {recorded}, computed as {computed}")
        raise _Differs(sentence.format(recorded=said(recorded), computed=said(computed)))


def _policy(told: Mapping[str, Any], policies: Mapping[int, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the policy that a decision names, as its leaf holds it. Raises `_Differs` when it is another."""
    if told["version"] == 0:
        return None
    document = policies.get(told["version"])
    if document is None or hash_of(document) != told["hash"]:
        raise _Differs(_("the log does not hold policy version {version} as it was").format(version=told["version"]))
    return document


def _verdict(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['outcome']} {_ruled(verdict['rule'], verdict['parameters'])}"


def _advice(verdict: Mapping[str, Any]) -> str:
    return _ruled(verdict["code"], verdict["parameters"])


def _ruled(code: str, parameters: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in sorted(parameters.items()))
    return code + (f" ({figures})" if figures else "")
