"""How every component is: health, remaining life, by when somebody must decide, and what is under way.

The figures are those of the belief and of `marketplace.timing`; nothing is estimated or decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.advice import advices
from gateway.views.circumstances import Circumstances
from gateway.views.foresight import FAR, Foresight, foresee
from gateway.views.foresight import under_way as with_parts
from gateway.views.jobs import JobLineView, job_lines
from gateway.views.texts import text_of
from maintenance.needs import Belief, Evidence, JobKind, Need
from marketplace import store
from marketplace.authority.gate import GateClosed, current_policy
from marketplace.authority.policy import Policy, mode_of
from marketplace.ordering.states import RequisitionState
from marketplace.situation import needed_by
from marketplace.store import Owner
from marketplace.timing import Advice, TimingTerms

EARLY, LIKELY, LATE = 0.1, 0.5, 0.9
"""Failure probabilities at which a remaining life is told: rather early, even odds, rather late."""


@dataclass(frozen=True, slots=True)
class ComponentPlan:
    """What the config says about a component, as far as a view tells it; no terms: it is never bought for."""

    component: str
    machine_name: str
    name: str
    terms: TimingTerms | None
    stale_after: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NeedView:
    """One component: how it is, how long it lasts, by when somebody must decide, what its job wants, what is under way.

    health: 1 as new to 0 worn out. remaining_days: calendar days until failure is as likely as not; `early` and
    `late` at 10 % and 90 %; None: beyond what is known. failure_probability: that it fails before a part ordered now
    could be there. fit_by: when a part is best fitted, in a maintenance window where there are any. state: `idle`,
    `to_be_fitted`, a requisition's state, or the state of order `order`. belief, advice: what these figures are taken
    from; no advice: nothing is bought for it. foresight: both as a picture shows them.
    """

    machine: str
    machine_name: str
    component: str
    name: str
    job: str
    health: float
    remaining_days: float | None
    remaining_days_early: float | None
    remaining_days_late: float | None
    failure_probability: float | None
    decide_by: datetime | None
    mode: str
    state: str
    order: str
    provenance: str
    known: bool
    stale: bool
    as_of: datetime
    belief: Belief
    foresight: Foresight
    advice: Advice | None = None
    evidence: tuple[Evidence, ...] = ()
    lines: tuple[JobLineView, ...] = ()
    duration: timedelta | None = None
    tools: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    fit_by: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the need for programs."""
        return {
            "machine": self.machine,
            "component": self.component,
            "name": self.name,
            "job": self.job,
            "health": round(self.health, 4),
            "remaining_days": _rounded(self.remaining_days),
            "remaining_days_early": _rounded(self.remaining_days_early),
            "remaining_days_late": _rounded(self.remaining_days_late),
            "failure_probability": None if self.failure_probability is None else round(self.failure_probability, 4),
            "decide_by": text_of(self.decide_by),
            "mode": self.mode,
            "state": self.state,
            "order": self.order or None,
            "provenance": self.provenance,
            "known": self.known,
            "stale": self.stale,
            "as_of": text_of(self.as_of),
            "evidence": [{"code": each.code, "parameters": dict(each.parameters)} for each in self.evidence],
            "lines": [each.as_dict() for each in self.lines],
            "duration_hours": None if self.duration is None else round(self.duration / timedelta(hours=1), 2),
            "tools": list(self.tools),
            "skills": list(self.skills),
            "fit_by": text_of(self.fit_by),
        }


def _rounded(days: float | None) -> float | None:
    return None if days is None else round(days, 2)


def need_view(
    need: Need,
    plan: ComponentPlan,
    mode: str,
    under_way: tuple[str, str],
    now: datetime,
    lines: tuple[JobLineView, ...] = (),
    advice: Advice | None = None,
) -> NeedView:
    """Return how a need looks at `now`; `under_way` is (state, order number), `lines` what its job wants."""
    early, likely, late = (_days_left(need, probability, now) for probability in (EARLY, LIKELY, LATE))
    terms, figures = (None, {}) if advice is None else (advice.weighed.terms, advice.parameters)
    return NeedView(
        machine=need.machine,
        machine_name=plan.machine_name,
        component=need.component,
        name=plan.name,
        job=need.job,
        health=need.health,
        remaining_days=likely,
        remaining_days_early=early,
        remaining_days_late=late,
        failure_probability=None if advice is None else advice.probability,
        decide_by=None if advice is None else _near(advice.decide_by, now),
        mode=mode,
        state=under_way[0],
        order=under_way[1],
        provenance=need.belief.provenance.value,
        known=need.belief.known,
        stale=now - need.as_of > plan.stale_after,
        as_of=need.as_of,
        belief=need.belief,
        foresight=with_parts(
            foresee(need.belief, now, terms, figures),
            (each.expected_at for line in lines if line.kind != JobKind.SERVICE for each in line.on_its_way),
        ),
        advice=advice,
        evidence=need.evidence,
        lines=lines,
        duration=need.duration,
        tools=need.tools,
        skills=need.skills,
        fit_by=None if advice is None else _near(advice.fit_by, now),
    )


def _near(moment: datetime | None, now: datetime) -> datetime | None:
    return None if moment is None or moment - now > FAR else moment


def _days_left(need: Need, probability: float, now: datetime) -> float | None:
    """Days from `now`, not from when the belief was formed; never below 0."""
    try:
        length = need.belief.remaining_time(probability)
        return (
            None
            if length is None or length > FAR
            else max(0.0, (need.belief.as_of + length - now).total_seconds() / 86_400)
        )
    except OverflowError:  # it outlasts the calendar
        return None


async def need_views(
    spend: AsyncConnection,
    owner: Owner,
    needs: Iterable[Need],
    plans: Mapping[str, ComponentPlan],
    now: datetime,
    circumstances: Circumstances | None = None,
    newest: Mapping[str, Advice] | None = None,
) -> list[NeedView]:
    """Return every need that the config still knows, the most urgent first, as timing sees it at `now`.

    newest: what timing said at the last step, where that is known; it is asked anew where that does not stand any more.
    """
    moving, policy = await under_way(spend, owner), await policy_in_force(spend, owner)
    here = await to_be_fitted(spend, owner)
    known = [need for need in needs if need.component in plans]
    said = {key: plan.terms for key, plan in plans.items() if plan.terms is not None}
    advised = await advices(spend, owner, known, said, circumstances or Circumstances(), now, newest or {})
    due = {need.component: needed_by(need) for need in known}
    lines = await job_lines(spend, owner, known, due, now)
    views = [
        need_view(
            need,
            plans[need.component],
            mode_of(policy, need.component).value,
            moving.get(need.component) or here.get((need.component, need.life), ("idle", "")),
            now,
            lines[need.component],
            advised.get(need.component),
        )
        for need in known
    ]
    return sorted(views, key=_urgency)


async def policy_in_force(spend: AsyncConnection, owner: Owner) -> Policy | None:
    """Return the policy that a named person applied last, None when nobody has or it cannot be trusted."""
    try:
        applied = await current_policy(spend, owner)
    except GateClosed:  # buying is stopped and says so itself; looking goes on, as on a site without a policy
        return None
    return None if applied is None else applied.policy


def _urgency(view: NeedView) -> tuple[bool, float, str]:
    return view.remaining_days is None, view.remaining_days or 0.0, view.component


async def under_way(spend: AsyncConnection, owner: Owner) -> dict[str, tuple[str, str]]:
    """Return (state, order number) of what is open for each component: an order's state if there is one."""
    wanted, link, order = store.requisition.c, store.line_requisition.c, store.purchase_order.c
    rows = await spend.execute(
        select(wanted.component, wanted.state, order.state.label("order_state"), order.number)
        .select_from(
            store.requisition.outerjoin(store.line_requisition, link.requisition == wanted.id).outerjoin(
                store.purchase_order, order.number == link.order_number
            )
        )
        .where(wanted.plant == owner.plant, wanted.open_slot.is_not(None))
        .order_by(order.created_at)
    )
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        ordered = row.number is not None and row.state in (RequisitionState.PROPOSED, RequisitionState.ORDERED)
        found[row.component] = (row.order_state, row.number) if ordered else (row.state, "")
    return found


async def to_be_fitted(spend: AsyncConnection, owner: Owner) -> dict[tuple[str, str], tuple[str, str]]:
    """Return ("to_be_fitted", order number) by (component, life) where the part is here, bought or from the shelf."""
    wanted, link = store.requisition.c, store.line_requisition.c
    rows = await spend.execute(
        select(wanted.component, wanted.life, link.order_number)
        .select_from(store.requisition.outerjoin(store.line_requisition, link.requisition == wanted.id))
        .where(wanted.plant == owner.plant, wanted.state == RequisitionState.FULFILLED, wanted.life != "")
    )
    return {(row.component, row.life): ("to_be_fitted", row.order_number or "") for row in rows}
