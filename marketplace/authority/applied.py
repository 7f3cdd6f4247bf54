"""The policy that counts: applied by a named person, numbered, hashed, and audited with what it changes.

It promises that an edited file changes nothing until somebody who may applies it, that nobody grants a mandate in
somebody else's name, and that a stored policy which was tampered with stops buying. Limits follow a policy in the
same transaction. It decides about no order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import ledger, plant_time
from marketplace.authority.approval import Approver
from marketplace.authority.mandate import Mandate
from marketplace.authority.policy import Policy, ledger_time
from marketplace.documents import canonical
from marketplace.store import Owner, policy_version


class GateClosed(Exception):
    """What is stored does not hold together; nothing is decided, booked or sent until a person has looked."""


class PolicyRefused(Exception):
    """The policy was not applied; `str()` says why, and the one before still counts."""


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """The policy that counts, with its version."""

    version: int
    policy: Policy
    applied_by: str
    applied_at: datetime

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical document, hexadecimal."""
        return self.policy.hash

    @property
    def mandate(self) -> Mandate | None:
        """The mandate that the policy carries."""
        return self.policy.mandate


async def current_policy(tx: AsyncConnection, owner: Owner) -> AppliedPolicy | None:
    """Return the policy applied last. Raises `GateClosed` when its stored text is not what was hashed."""
    query = (
        select(policy_version)
        .where(policy_version.c.plant == owner.plant, policy_version.c.gateway_id == owner.gateway_id)
        .order_by(policy_version.c.version.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    if hashlib.sha256(row.document.encode()).hexdigest() != row.hash:
        raise GateClosed(f"policy version {row.version} was changed after it was applied; buying is stopped")
    return AppliedPolicy(row.version, Policy.model_validate_json(row.document), row.applied_by, row.applied_at)


async def apply_policy(
    tx: AsyncConnection,
    owner: Owner,
    document: Mapping[str, Any],
    person: Approver,
    now: datetime,
    *,
    method: str = "socket",
) -> int:
    """Make a policy document count and return its version; the same document again changes nothing.

    Raises pydantic's ValidationError for a document with mistakes, `PolicyRefused` when the person may not apply it
    or it grants a mandate in somebody else's name.
    """
    policy = Policy.model_validate(document)
    before = await current_policy(tx, owner)
    _may_apply(person, policy, before)
    if before is not None and before.hash == policy.hash:
        return before.version
    version = before.version + 1 if before else 1
    text = canonical(policy.document()).decode()
    await tx.execute(
        insert(policy_version).values(
            **owner.columns, version=version, document=text, hash=policy.hash, applied_by=person.id, applied_at=now
        )
    )
    at = ledger_time(await plant_time.observe(tx, owner, now), now)
    await ledger.follow(tx, owner, policy.terms, at)
    facts = {
        "version": version,
        "hash": policy.hash,
        "document": policy.document(),
        "difference": difference(before.policy.document() if before else {}, policy.document()),
    }
    await log.append(tx, owner, "policy.applied", "policy", Actor(ActorKind.PERSON, person.id, method), facts, now)
    return version


def _may_apply(person: Approver, policy: Policy, before: AppliedPolicy | None) -> None:
    if not person.may_apply_policy:
        raise PolicyRefused(f"{person.id} may not apply a policy")
    granted = policy.mandate
    if granted is None or (before is not None and before.mandate is not None and before.mandate.hash == granted.hash):
        return
    if granted.granted_by != person.id:
        raise PolicyRefused(f"{person.id} cannot grant a mandate in the name of {granted.granted_by}")


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what changed, by dotted path: the canonical text before ("" if absent) and after."""
    old, new = _flat(before), _flat(after)
    return {
        path: [old.get(path, ""), new.get(path, "")]
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    }


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return flat
