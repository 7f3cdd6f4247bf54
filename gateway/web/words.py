"""Codes of the program as words for people; a code without a word is shown as it is, never hidden."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from gettext import gettext as _
from gettext import ngettext

from connectors.samples import Quality
from gateway.i18n import number, span
from maintenance.alarms.alarm import OUT_OF_SERVICE
from maintenance.alarms.kinds import Priority

__all__ = [
    "act_words",
    "alarm_words",
    "cause_words",
    "kind_words",
    "line_words",
    "priority_kind",
    "priority_words",
    "actor_words",
    "authority_words",
    "duration_words",
    "found_words",
    "health_level",
    "health_words",
    "mode_words",
    "outcome_words",
    "phase_words",
    "provenance_words",
    "quality_words",
    "range_words",
    "remaining_words",
    "state_kind",
    "state_words",
    "steps",
    "term_words",
]

GOOD_ABOVE, FAIR_ABOVE = 0.5, 0.2
"""Health above which a component counts as good, and as fair."""


def state_words(state: str) -> str:
    """Return a state of an order or a requisition in words."""
    return {
        "idle": _("nothing under way"),
        "to_be_fitted": _("part is here, to be fitted"),
        "needed": _("wanted"),
        "quoting": _("asking for prices"),
        "proposed": _("proposed"),
        "ordered": _("ordered"),
        "fulfilled": _("fulfilled"),
        "withdrawn": _("withdrawn"),
        "awaiting_approval": _("waits for approval"),
        "approved": _("approved"),
        "submitting": _("being sent"),
        "submitted": _("sent"),
        "unknown": _("outcome unknown, asking"),
        "needs_person": _("needs a person"),
        "confirmed": _("confirmed"),
        "shipped": _("on its way"),
        "received": _("received"),
        "cancelling": _("being cancelled"),
        "disputed": _("disputed"),
        "closed": _("closed"),
        "denied": _("rejected by a person"),
        "expired": _("expired"),
        "rejected": _("rejected by the supplier"),
        "not_placed": _("was not placed"),
        "cancelled": _("cancelled"),
    }.get(state, state)


def state_kind(state: str) -> str:
    """Return how a state is to be coloured: `wait`, `run`, `done`, `stop` or `idle`."""
    if state in ("awaiting_approval", "needs_person", "disputed"):
        return "wait"
    if state in ("received", "closed", "fulfilled"):
        return "done"
    if state in ("denied", "expired", "rejected", "not_placed", "cancelled", "unknown", "withdrawn"):
        return "stop"
    return "idle" if state == "idle" else "run"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an order's usual way; `kind` is `past`, `here` or `ahead`."""

    label: str
    kind: str


def steps(state: str) -> list[Step]:
    """Return the usual way of an order with where it is; empty when it left that way."""
    way = [
        (("proposed", "awaiting_approval"), _("Proposed")),
        (("approved", "submitting"), _("Approved")),
        (("submitted",), _("Sent")),
        (("confirmed",), _("Confirmed")),
        (("shipped",), _("On its way")),
        (("received", "closed"), _("Received")),
    ]
    here = next((place for place, (states, _label) in enumerate(way) if state in states), None)
    if here is None:
        return []
    return [
        Step(label, "here" if place == here else "past" if place < here else "ahead")
        for place, (_states, label) in enumerate(way)
    ]


def found_words(found: str) -> str:
    """Return how a part was found that was taken out, in words."""
    return {
        "": _("nothing was said of it"),
        "failed": _("had failed"),
        "worn": _("worn"),
        "half": _("half used up"),
        "like-new": _("like new"),
    }.get(found, found)


def phase_words(phase: str) -> str:
    """Return how far a kind may go by itself, in words."""
    return {
        "bound": _("by the rule that needs no history"),
        "adaptable": _("by that rule, as its lives have taught it"),
        "autonomous": _("by a model learned from its lives"),
    }.get(phase, phase)


def mode_words(mode: str) -> str:
    """Return a component's mode in words."""
    return {
        "watch": _("watch only"),
        "advise": _("advise"),
        "ask": _("ask before buying"),
        "buy": _("buy within limits"),
    }.get(mode, mode)


def alarm_words(state: str) -> str:
    """Return where a condition alarm stands in words."""
    return {
        "normal": _("over"),
        "unacknowledged": _("nobody has seen it"),
        "acknowledged": _("seen"),
        "returned": _("over, and nobody has seen it"),
        "latched_unacknowledged": _("was there, and nobody has seen it"),
        "latched": _("seen, to be reset"),
        "shelved": _("shelved"),
        "suppressed": _("suppressed"),
    }.get(state, state)


def priority_words(priority: Priority) -> str:
    """Return a priority in words."""
    return {
        Priority.CRITICAL: _("critical"),
        Priority.HIGH: _("high"),
        Priority.MEDIUM: _("medium"),
        Priority.LOW: _("low"),
    }[priority]


def priority_kind(priority: Priority) -> str:
    """Return how a priority is to be coloured."""
    return "stop" if priority >= Priority.HIGH else "wait" if priority is Priority.MEDIUM else "run"


def cause_words(cause: str) -> str:
    """Return why a condition alarm is suppressed, in words."""
    if cause == OUT_OF_SERVICE:
        return _("The component is out of service.")
    return _("A lost connection explains it: {name}").format(name=cause.partition("|")[2] or cause)


def kind_words(kind: str) -> str:
    """Return a kind of condition alarm in words."""
    return {
        "connection_lost": _("connection lost"),
        "tag_unreadable": _("tag cannot be read"),
        "sensor_silent": _("sensor silent"),
        "sensor_stuck": _("sensor stuck"),
        "counter_doubted": _("counter doubted"),
        "contradiction": _("counters contradict"),
        "new_part_proposed": _("new part proposed"),
        "health_low": _("health low"),
        "failure_likely": _("failure likely"),
        "decide_by_near": _("decision due"),
    }.get(kind, kind)


def authority_words(authority: str) -> str:
    """Return by whose authority an order went, in words."""
    return {"policy": _("the policy"), "person": _("a person"), "": _("nobody yet")}.get(authority, authority)


def provenance_words(provenance: str) -> str:
    """Return how evidence reached us, in words."""
    return {"A": _("authenticated and encrypted"), "B": _("sent in the clear")}.get(provenance, provenance)


def quality_words(quality: Quality) -> str:
    """Return a quality in words."""
    return {Quality.GOOD: _("good"), Quality.UNCERTAIN: _("uncertain"), Quality.BAD: _("bad")}[quality]


def range_words(name: str) -> str:
    """Return how far a chart reaches back, in words."""
    return {"hour": _("Hour"), "day": _("Day"), "week": _("Week"), "month": _("30 days")}.get(name, name)


def outcome_words(outcome: str) -> str:
    """Return what became of asking a supplier, in words."""
    return {
        "offered": _("offered"),
        "unavailable": _("could not be reached"),
        "rejected": _("does not offer it"),
        "late": _("answered too late"),
        "invalid": _("answer could not be used"),
    }.get(outcome, outcome)


def term_words(term: str) -> str:
    """Return a term of landed cost in words."""
    return {
        "goods": _("Goods"),
        "freight": _("Freight"),
        "fees": _("Fees"),
        "lateness": _("Expected cost of lateness"),
        "holding": _("Keeping it until needed"),
    }.get(term, term)


def actor_words(kind: str) -> str:
    """Return a kind of actor in words."""
    return {
        "person": _("a person"),
        "machine": _("a machine"),
        "gateway": _("the gateway"),
        "supplier": _("the supplier"),
    }.get(kind, kind)


def act_words(kind: str) -> str:
    """Return an audited act (`order.confirmed`) in words."""
    said = {
        "decision.made": _("The rules were asked"),
        "approval.given": _("Approved by a person"),
        "approval.refused": _("Rejected by a person"),
        "permit.issued": _("Leave to send was given"),
        "policy.applied": _("A policy was put into force"),
        "audit.key_rotated": _("The log's key was handed over to a new one"),
        "audit.epoch": _("Entries are lost, and the log goes on in a new epoch"),
        "session.opened": _("Signed in"),
        "session.closed": _("Signed out"),
        "approval.blocked": _("An approval did not count"),
        "budget.committed": _("The money is spent"),
        "budget.reduced": _("Less money is bound than before"),
        "budget.released": _("The money is free again"),
        "answer.received": _("An answer arrived"),
        "answer.entered": _("An answer was typed in"),
        "answer.applied": _("The answer counts"),
        "answer.set_aside": _("The answer was set aside"),
        "halt.set": _("Buying was stopped"),
        "halt.lifted": _("A stop was lifted"),
        "alarm.raised": _("A money alarm was raised"),
        "alarm.acknowledged": _("A money alarm was seen"),
        "alarm.escalated": _("A money alarm was not seen in time"),
        "prices.entered": _("Prices were typed in"),
        "supplier.suspended": _("The supplier is suspended"),
        "supplier.reinstated": _("The supplier may be asked again"),
        "stock.received": _("Put on the shelf"),
        "stock.reserved": _("Reserved on the shelf"),
        "stock.counted": _("The shelf was counted"),
        "fitting.done": _("A part was fitted"),
        "requisition.raised": _("A want was raised"),
        "order.proposed": _("Order proposed"),
        "requisition.needed": _("Wanted"),
        "requisition.quoting": _("Suppliers were asked"),
        "requisition.proposed": _("An order was proposed"),
        "requisition.ordered": _("Ordered"),
        "requisition.fulfilled": _("Fulfilled"),
        "requisition.withdrawn": _("Withdrawn"),
        "requisition.reduced": _("Content with a part"),
        "purchase.reminded": _("A person was reminded"),
        "purchase.quarantined": _("Set apart after failing again and again"),
        "purchase.released": _("Taken up again"),
    }.get(kind)
    if said is not None:
        return said
    topic, _point, event = kind.partition(".")
    return _("Order: {state}").format(state=state_words(event)) if topic == "order" else kind


def line_words(kind: str) -> str:
    """Return what a line of a job is, in a word."""
    return {"part": _("Part"), "consumable": _("Consumable"), "service": _("Service")}.get(kind, kind)


def health_level(health: float) -> str:
    """Return how a health is to be coloured."""
    return "good" if health > GOOD_ABOVE else "fair" if health > FAIR_ABOVE else "poor"


def health_words(health: float) -> str:
    """Return a health in words, so that colour is never all."""
    return {"good": _("good"), "fair": _("wearing"), "poor": _("nearly worn out")}[health_level(health)]


def duration_words(days: float) -> str:
    """Return a number of days as people say it: hours when short, months when long."""
    if days < 2:
        return span(timedelta(days=days))
    if days < 90:
        return ngettext("{n} day", "{n} days", round(days)).format(n=number(round(days)))
    if days < 730:
        return _("{n} months").format(n=number(round(days / 30.44)))
    return _("{n} years").format(n=number(days / 365.25, 0 if days > 3650 else 1))


def remaining_words(days: float | None) -> str:
    """Return a remaining life in words."""
    if days is None:
        return _("longer than can be foreseen")
    if days <= 0:
        return _("may fail any time")
    return _("about {time}").format(time=duration_words(days))
