"""A need as plain JSON values and back, exactly: what is stored for the pages, and told to other programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from maintenance.needs import Belief, Evidence, JobKind, JobLine, Need, Provenance


def need_document(one: Need) -> dict[str, Any]:
    """Return a need as plain JSON values; floats come back exactly."""
    belief = one.belief
    return {
        "machine": one.machine,
        "component": one.component,
        "life": one.life,
        "revision": one.revision,
        "job": one.job,
        "lines": [[line.key, line.item, str(line.quantity), line.unit, line.kind.value] for line in one.lines],
        "belief": {
            "use": belief.use.tolist(),
            "survival": belief.survival.tolist(),
            "unit": belief.unit,
            "use_per_hour": belief.use_per_hour,
            "as_of": belief.as_of.isoformat(),
            "provenance": belief.provenance.value,
            "known": belief.known,
            "life": belief.life,
        },
        "health": one.health,
        "evidence": [[reason.code, reason.parameters] for reason in one.evidence],
        "as_of": one.as_of.isoformat(),
        "duration_s": None if one.duration is None else one.duration.total_seconds(),
        "tools": list(one.tools),
        "skills": list(one.skills),
    }


def need_of(document: Mapping[str, Any]) -> Need:
    """Return the need that a document of `need_document` says; older ones break the job down no further."""
    belief, seconds = document["belief"], document.get("duration_s")
    return Need(
        machine=document["machine"],
        component=document["component"],
        life=document["life"],
        revision=document["revision"],
        job=document["job"],
        lines=tuple(
            JobLine(key, item, Decimal(quantity), unit, JobKind(kind))
            for key, item, quantity, unit, kind in document["lines"]
        ),
        belief=Belief.of(
            belief["use"],
            belief["survival"],
            unit=belief["unit"],
            use_per_hour=belief["use_per_hour"],
            as_of=datetime.fromisoformat(belief["as_of"]),
            provenance=Provenance(belief["provenance"]),
            known=belief["known"],
            life=belief.get("life"),
        ),
        health=document["health"],
        evidence=tuple(Evidence(code, parameters) for code, parameters in document["evidence"]),
        as_of=datetime.fromisoformat(document["as_of"]),
        duration=None if seconds is None else timedelta(seconds=seconds),
        tools=tuple(document.get("tools", ())),
        skills=tuple(document.get("skills", ())),
    )
