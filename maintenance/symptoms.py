"""Which job a symptom calls for, by a plain table that engineers edit.

A row names components by a pattern, a kind of evidence, perhaps a tag, and a job. Rows are tried in their order and the
first that fits decides; where none does, it is the component's own job. Of each kind only the weightiest evidence
counts, so "vibration is the loudest" and "temperature is the loudest" are two rows. The same evidence always calls for
the same job, and the need says which row it was. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field

from maintenance.needs import Evidence
from maintenance.settings import ComponentSettings, JobSettings, wear_tags

JOB_CHOSEN = "JOB_CHOSEN"
"""The evidence that says which row of the table chose the job."""


class SymptomSettings(BaseModel):
    """A row: where `component` and what `evidence`, of which `tag` (empty: of any), it is this `job`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    component: str = Field(min_length=1, max_length=200, description="machine/component; * stands for any characters")
    evidence: str = Field(pattern=r"^[A-Z][A-Z_]{0,63}$", description="its code, such as DEVIATION_TAG")
    tag: str = Field(default="", max_length=64)
    job: str = Field(min_length=1, max_length=64, description="a key of 'jobs'")

    def concerns(self, component: str) -> bool:
        """Return whether the row is about a component, by its key `machine/component`."""
        return fnmatchcase(component, self.component)

    def fits(self, evidence: Sequence[Evidence]) -> bool:
        """Return whether the weightiest evidence of the row's kind is the row's."""
        loudest = next((each for each in evidence if each.code == self.evidence), None)
        return loudest is not None and self.tag in ("", loudest.parameters.get("tag"))

    def is_possible(self, component: ComponentSettings) -> bool:
        """Return whether a component could ever show it: whether it reads the row's tag."""
        return not self.tag or self.tag in wear_tags(component.wear)


Table = Sequence[tuple[int, SymptomSettings]]
"""The rows that concern a component, each with its number in the whole table, counted from 1."""


def table_for(component: str, rows: Sequence[SymptomSettings]) -> tuple[tuple[int, SymptomSettings], ...]:
    """Return the rows that concern a component."""
    return tuple((number, row) for number, row in enumerate(rows, 1) if row.concerns(component))


def job_for(
    own: JobSettings, table: Table, jobs: Mapping[str, JobSettings], evidence: tuple[Evidence, ...]
) -> tuple[JobSettings, tuple[Evidence, ...]]:
    """Return the job that evidence calls for, and the evidence with the row that chose it, if one did."""
    for number, row in table:
        if row.fits(evidence):
            figures = {"job": row.job, "row": str(number), "evidence": row.evidence, "tag": row.tag}
            return jobs[row.job], (*evidence, Evidence(JOB_CHOSEN, figures))
    return own, evidence
