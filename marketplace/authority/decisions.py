"""What a leaf must hold so that its decision can be computed again, and the computing.

It promises that a verdict is a function of what was recorded: the order's canonical document, the policy's, and the
record itself, which holds everything else (circumstances, what stood against each limit, plant time and its mark, who
signed with which rights, the thresholds that counted). `verdict_of` on these gives the same verdict to the byte.
It reads nothing: whoever replays brings the documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from maintenance.needs import Provenance
from marketplace.authority import approval as signature
from marketplace.authority.approval import Approver
from marketplace.authority.checks import Checks
from marketplace.authority.leave import Dispatch, leave
from marketplace.authority.limits import Claim, Subject, Used
from marketplace.authority.mandate import Decision, objection_of
from marketplace.authority.policy import Circumstances, Mode, Policy, Similar, Standing, decide, stopped_by
from marketplace.authority.scopes import Halt, halt_told
from marketplace.documents import PurchaseOrder, parse_timestamp, timestamp
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.orders import read_order

JUDGE: Final = "judge"
APPROVE: Final = "approve"
PERMIT: Final = "permit"


def verdict(decision: Decision) -> dict[str, Any]:
    """Return a decision as leaves hold it."""
    return {"outcome": decision.outcome.value, "rule": decision.rule, "parameters": dict(decision.parameters)}


def standing_facts(standing: Standing, claims: Sequence[Claim], now: datetime) -> dict[str, Any]:
    """Return what the gate's books said: plant time, its mark, and each limit with what stood and what was asked."""
    return {
        "now": timestamp(now),
        "mark": timestamp(standing.mark) if standing.mark else "",
        "limits": [_limit(claim, standing.used[claim.name]) for claim in claims if claim.name in standing.used],
    }


def _limit(claim: Claim, used: Used) -> dict[str, Any]:
    return {
        "name": claim.name,
        "limit": claim.limit,
        "amount": claim.amount,
        "machine": used.machine,
        "person": used.person,
        "rates": list(claim.rates),
    }


def judge_record(
    order: PurchaseOrder,
    circumstances: Circumstances,
    policy: Policy | None,
    standing: Standing,
    claims: Sequence[Claim],
    now: datetime,
    *,
    authority: Mapping[str, Any],
    software: str,
) -> dict[str, Any]:
    """Return the record of the policy's verdict on an order, verdict included. `authority`: by which policy."""
    mandate = policy.mandate if policy else None
    decision = decide(order, circumstances, policy, mandate, standing=standing, now=now)
    return {
        "act": JUDGE,
        "verdict": verdict(decision),
        "order_hash": order.hash,
        "supplier": order.supplier,
        "total": str(order.total),
        "policy": dict(authority),
        "checks": policy.checks.document() if policy else {},
        "inputs": circumstances.facts(),
        "inputs_hash": circumstances.hash,
        "standing": standing_facts(standing, claims, now),
        "software": software,
    }


def approval_record(
    order: PurchaseOrder,
    machine: str,
    approver: Approver,
    policy: Policy | None,
    now: datetime,
    *,
    stopped: Halt | None,
    awaiting: bool,
    asked_by: str,
    approved_hash: str,
    authority: Mapping[str, Any],
    software: str,
) -> dict[str, Any]:
    """Return the record of whether a person's signature counts, verdict included."""
    found = _signed(order, machine, approver, policy, now, stopped, awaiting, asked_by, approved_hash)
    return {
        "act": APPROVE,
        "verdict": verdict(found),
        "order_hash": order.hash,
        "approved_hash": approved_hash,
        "total": str(order.total),
        "machine": machine,
        "stopped": stopped.parameters if stopped else None,
        "awaiting": awaiting,
        "asked_by": asked_by,
        "approver": {
            "id": approver.id,
            "may_approve": approver.may_approve,
            "limit": str(approver.limit) if approver.limit else "",
        },
        "policy": dict(authority),
        "now": timestamp(now),
        "software": software,
    }


def _signed(
    order: PurchaseOrder,
    machine: str,
    approver: Approver,
    policy: Policy | None,
    now: datetime,
    stopped: Halt | None,
    awaiting: bool,
    asked_by: str,
    approved_hash: str,
) -> Decision:
    """A person needs the plant's mandate as much as the gateway does, and signs nothing past a stop."""
    if stopped is not None:
        return stopped_by(stopped)
    return objection_of(policy.mandate if policy else None, machine, now) or signature.check(
        order, approver, awaiting=awaiting, asked_by=asked_by, approved_hash=approved_hash, now=now
    )


def permit_record(
    found: Dispatch, policy: Policy | None, standing: Standing, claims: Sequence[Claim], now: datetime
) -> dict[str, Any]:
    """Return the record of whether an order's bytes may be sent, verdict included."""
    subject = found.subject
    return {
        "act": PERMIT,
        "verdict": verdict(leave(found, policy, standing=standing, now=now)),
        "dispatch": {
            "order": subject.order,
            "machine": subject.machine,
            "component": subject.component,
            "supplier": subject.supplier,
            "categories": list(subject.categories),
            "total": str(subject.total),
            "stopped": found.stopped.parameters if found.stopped else None,
            "state": found.state,
            "has_bytes": found.has_bytes,
            "intact": found.intact,
            "quoted_until": timestamp(found.quoted_until),
            "reserved": list(found.reserved),
            "by_person": found.by_person,
            "allowed": found.allowed,
            "sends": found.sends,
            "may_be_there": found.may_be_there,
            "key_proven": found.key_proven,
        },
        "standing": standing_facts(standing, claims, now),
    }


def verdict_of(
    record: Mapping[str, Any], order_document: Mapping[str, Any], policy_document: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the verdict that a record's own inputs give, by the rules of this version.

    `policy_document`: the policy of the version that the record names, None for version 0. Raises KeyError,
    ValueError or TypeError when the record is none of ours.
    """
    policy = Policy.model_validate(policy_document) if policy_document is not None else None
    match record["act"]:
        case "judge":
            return verdict(_judged(record, order_document, policy))
        case "approve":
            return verdict(_approved(record, order_document, policy))
        case "permit":
            now, standing = _standing(record["standing"])
            return verdict(leave(_dispatch(record["dispatch"]), policy, standing=standing, now=now))
    raise ValueError(f"{record['act']!r} is no decision")


def _judged(record: Mapping[str, Any], document: Mapping[str, Any], policy: Policy | None) -> Decision:
    now, standing = _standing(record["standing"])
    order, told = read_order(document, {}), circumstances_from(record["inputs"])
    if policy is not None:
        policy = policy.model_copy(update={"checks": Checks.model_validate(record["checks"])})
    return decide(order, told, policy, policy.mandate if policy else None, standing=standing, now=now)


def _approved(record: Mapping[str, Any], document: Mapping[str, Any], policy: Policy | None) -> Decision:
    said = record["approver"]
    limit = Money.parse(said["limit"]) if said["limit"] else None
    return _signed(
        read_order(document, {}),
        record["machine"],
        Approver(said["id"], said["may_approve"], limit),
        policy,
        parse_timestamp(record["now"]),
        halt_told(record["stopped"]),
        record["awaiting"],
        record["asked_by"],
        record["approved_hash"],
    )


def _standing(said: Mapping[str, Any]) -> tuple[datetime, Standing]:
    used = {each["name"]: Used(each["machine"], each["person"]) for each in said["limits"]}
    mark = parse_timestamp(said["mark"]) if said["mark"] else None
    return parse_timestamp(said["now"]), Standing(mark, used)


def _dispatch(said: Mapping[str, Any]) -> Dispatch:
    names = ("state", "has_bytes", "intact", "by_person", "allowed", "sends", "may_be_there", "key_proven")
    place = (said["order"], said["machine"], said["component"], said["supplier"], tuple(said["categories"]))
    return Dispatch(
        subject=Subject(*place, Money.parse(said["total"])),
        stopped=halt_told(said["stopped"]),
        quoted_until=parse_timestamp(said["quoted_until"]),
        reserved=tuple(said["reserved"]),
        **{name: said[name] for name in names},
    )


def circumstances_from(facts: Mapping[str, Any]) -> Circumstances:
    """Return the circumstances that a leaf holds."""
    plain = ("known_history", "machine", "component", "asked_by", "supplier_suspended")
    counts = ("plant_orders", "supplier_orders", "exposure", "first_order_at_supplier", "first_purchase_of_item")
    similar = (Similar(number, item, parse_timestamp(at), open) for number, item, at, open in facts["similar"])
    return Circumstances(
        stopped=halt_told(facts["stopped"]),
        mode=Mode(facts["mode"]),
        provenance=Provenance(facts["provenance"]),
        wanted={int(line): _quantity(text) for line, text in facts["wanted"].items()},
        last_prices={item: _price(text) for item, text in facts["last_prices"].items()},
        quoted={int(line): _price(text) for line, text in facts["quoted"].items()},
        own_prices={item: _price(text) for item, text in facts["own_prices"].items()},
        similar=tuple(similar),
        **{name: facts[name] for name in (*plain, *counts)},
    )


def _quantity(text: str) -> Quantity:
    amount, unit = text.split(" ")
    return Quantity(Decimal(amount), unit)


def _price(text: str) -> UnitPrice:
    price, _per, per = text.partition(" per ")
    amount, currency = price.split(" ")
    return UnitPrice(Decimal(amount), currency, Decimal(per or 1))
