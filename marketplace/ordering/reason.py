"""Why a requisition was raised, as the text that is kept beside it: wear, timing and costs, whole.

It promises that whatever timing and the award weigh of a want is in this text and comes back from it to the same bits,
so that a restart awards as if nothing had happened and an audit can decide everything again. The text is JSON; it has
floats, therefore leaves hold its hash and never itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from maintenance.needs import NOTED, Belief, Evidence, JobLine, Need, Provenance
from marketplace.documents import parse_timestamp, timestamp
from marketplace.money import Money, Rate
from marketplace.openings import Openings
from marketplace.settings import BuyingSettings
from marketplace.sourcing.award import AwardTerms
from marketplace.stakes import Supply
from marketplace.timing import Advice, Costs, Held, TimingTerms, Weighed


def reason_for(need: Need, line: JobLine, advice: Advice, economics: BuyingSettings) -> dict[str, Any]:
    """Return why one line of a need is wanted: what wore, what timing says of it, and what things cost."""
    return {
        "job": need.job,
        "kind": str(line.kind),
        "code": advice.code,
        "parameters": dict(advice.parameters),
        "evidence": [
            {"code": each.code, "parameters": dict(each.parameters)} for each in need.evidence if each.code != NOTED
        ],  # what people write in their own words decides nothing, and could not be erased from here
        "price": str(economics.price),
        "standstill": _write_rate(economics.standstill),
        "holding": _write_rate(economics.holding_rate),
        "health": need.health,
        "belief": write_belief(need.belief),
        "timing": _write_weighed(advice.weighed),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What one want was raised on, as it was then: the belief, its evidence, and what timing weighed and found.

    health: None where an older version did not record it. figures: those of the advice, as texts.
    """

    component: str
    life: str
    belief: Belief
    health: float | None
    evidence: tuple[Evidence, ...]
    weighed: Weighed
    figures: Mapping[str, str]


def recorded(component: str, life: str, reason: Mapping[str, Any]) -> Recorded | None:
    """Return what a kept reason was made of; None where a person asked, or it was recorded with too little."""
    try:
        belief, by = read_belief(reason["belief"]), weighed(reason)
    except KeyError:
        return None
    evidence = evidence_of(reason)
    return Recorded(component, life, belief, reason.get("health"), evidence, by, reason.get("parameters", {}))


def evidence_of(reason: Mapping[str, Any]) -> tuple[Evidence, ...]:
    """Return the reasons in a kept reason, as maintenance told them."""
    return tuple(Evidence(each["code"], each["parameters"]) for each in reason.get("evidence", ()))


def reason_text(reason: Mapping[str, Any]) -> str:
    """Return the text that is kept."""
    return json.dumps(reason, sort_keys=True, ensure_ascii=False)


def award_terms(reason: Mapping[str, Any], approval: timedelta) -> AwardTerms:
    """Return what the award weighs, out of a kept reason."""
    return AwardTerms(
        belief=read_belief(reason["belief"]),
        standstill=_read_rate(reason["standstill"]),
        holding=_read_rate(reason["holding"]),
        approval=approval,
    )


def weighed(reason: Mapping[str, Any]) -> Weighed:
    """Return what timing weighed. Raises KeyError when it was not recorded."""
    told = reason["timing"]
    lead_time, approval, step = (timedelta(seconds=told[f"{name}_s"]) for name in ("lead_time", "approval", "step"))
    costs = told.get("costs")  # before there were costs, the ceiling decided alone
    terms = TimingTerms(
        lead_time,
        approval,
        step,
        told["failure_probability"],
        None if costs is None else Costs(**costs),
        tuple(_read_supply(each) for each in told.get("supplies", ())),
        told.get("patience", 1.0),
        told.get("lead_time_spread", 0.0),
        _read_held(told.get("held")),
        _read_openings(told.get("openings")),
        told.get("life_shape"),
    )
    return Weighed(terms, parse_timestamp(told["now"]))


def _write_weighed(by: Weighed) -> dict[str, Any]:
    terms = by.terms
    return {
        "now": timestamp(by.now),
        "lead_time_s": terms.lead_time.total_seconds(),
        "approval_s": terms.approval.total_seconds(),
        "step_s": terms.step.total_seconds(),
        "failure_probability": terms.failure_probability,
        "costs": None if terms.costs is None else asdict(terms.costs),
        "supplies": [asdict(each) for each in terms.supplies],
        "patience": terms.patience,
        "lead_time_spread": terms.lead_time_spread,
        "held": None if terms.held is None else asdict(terms.held),
        "openings": None if terms.openings is None else asdict(terms.openings),
        "life_shape": terms.life_shape,
    }


def _read_supply(written: Mapping[str, Any]) -> Supply:
    weights = tuple(written.get("weights", ()))
    delays = tuple(written["delays"])
    return Supply(written["supplier"], written["extra"], delays, weights, written.get("price", 0.0))


def _read_held(written: Mapping[str, Any] | None) -> Held | None:
    return None if written is None else Held(_read_supply(written["supply"]), written["bought"])


def _read_openings(written: Mapping[str, Any] | None) -> Openings | None:
    if written is None:
        return None
    spans = tuple((opens, shuts) for opens, shuts in written["spans"])
    once = tuple((opens, shuts) for opens, shuts in written.get("once", ()))
    return Openings(spans, written["closed"], written["period"], written["origin"], once)


def _write_rate(rate: Rate) -> dict[str, Any]:
    return {"minor": rate.amount.minor, "currency": rate.amount.currency, "per_s": rate.per.total_seconds()}


def _read_rate(written: Mapping[str, Any]) -> Rate:
    return Rate(Money(written["minor"], written["currency"]), timedelta(seconds=written["per_s"]))


def write_belief(belief: Belief) -> dict[str, Any]:
    """Return a belief as JSON, every point of it: some hundred, as estimators draw it."""
    return {
        "use": belief.use.tolist(),
        "survival": belief.survival.tolist(),
        "unit": belief.unit,
        "use_per_hour": belief.use_per_hour,
        "as_of": timestamp(belief.as_of),
        "provenance": str(belief.provenance),
        "known": belief.known,
        "life": belief.life,
    }


def read_belief(written: Mapping[str, Any]) -> Belief:
    """Return a kept belief."""
    return Belief.of(
        written["use"],
        written["survival"],
        unit=written["unit"],
        use_per_hour=written["use_per_hour"],
        as_of=parse_timestamp(written["as_of"]),
        provenance=Provenance(written["provenance"]),
        known=written["known"],
        life=written.get("life"),
    )
