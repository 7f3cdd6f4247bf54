"""Which job a symptom calls for, by a plain table that engineers edit.

A row names components by a pattern, a symptom and a job. A symptom is a kind of evidence, perhaps of a tag, or what a
person says of the component (`said`). Rows are tried in their order and the first that fits decides; where none does,
it is the component's own job. Of each kind only the weightiest evidence counts, so "vibration is the loudest" and
"temperature is the loudest" are two rows; of what people say everything counts. What a person says and no row knows is
a note: it is shown and chooses nothing. A row may take what is said for a failure; then, and only then, it moves the
belief, which is as well known afterwards as it was before. The same evidence always calls for the same job, and the
need says which row it was. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from gettext import gettext as _
from typing import Annotated, Final, Self
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from maintenance.needs import FAILURE_SAID, NOTED, Evidence
from maintenance.settings import ComponentSettings, JobSettings, wear_tags

JOB_CHOSEN = "JOB_CHOSEN"
"""The evidence that says which row of the table chose the job."""
REPORTED = "REPORTED"
"""The evidence that a person gives with a symptom that a row knows."""
SAID_MAX: Final = 100
"""Characters: a symptom is a few words."""
REPORTS_MAX: Final = 20
"""Symptoms of one part at a time; who sees more than these has failed to take some back."""
NEAREST_MAX: Final = 3


def in_words(text: str) -> str:
    """Return what a person says of a component with single spaces. Raises ValueError with a sentence."""
    said = normalize("NFC", " ".join(text.split()))
    if not said or len(said) > SAID_MAX or not said.isprintable():
        raise ValueError(_("a symptom is said in a few words, {count} characters at most").format(count=SAID_MAX))
    return said


class SymptomSettings(BaseModel):
    """A row: where `component` and what `evidence`, of which `tag` (empty: of any), it is this `job`.

    said: a symptom in a person's words; its evidence is `REPORTED`, and its job may be left out: the component's own.
    failure: who says that says that the part has failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    component: str = Field(min_length=1, max_length=200, description="machine/component; * stands for any characters")
    evidence: str = Field(default=REPORTED, pattern=r"^[A-Z][A-Z_]{0,63}$", description="its code, as DEVIATION_TAG")
    tag: str = Field(default="", max_length=64)
    said: Annotated[str, AfterValidator(lambda text: in_words(text) if text else "")] = ""
    job: str = Field(default="", max_length=64, description="a key of 'jobs'")
    failure: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.evidence == REPORTED) != bool(self.said):
            raise ValueError(_("has either 'evidence' that a machine shows, or what is 'said' by people"))
        if not self.said and (not self.job or self.failure):
            raise ValueError(_("needs a 'job'; only what is 'said' may do without one, or mean a failure"))
        if self.said and self.tag:
            raise ValueError(_("has no 'tag', because people say it"))
        return self

    def concerns(self, component: str) -> bool:
        """Return whether the row is about a component, by its key `machine/component`."""
        return fnmatchcase(component, self.component)

    def knows(self, said: str) -> bool:
        """Return whether the row is about what a person says, in any case of its letters."""
        return bool(self.said) and self.said.casefold() == said.casefold()

    def fits(self, evidence: Sequence[Evidence]) -> bool:
        """Return whether somebody says what the row says, or the weightiest evidence of its kind is the row's."""
        if self.said:
            return any(each.code == REPORTED and self.knows(each.parameters["symptom"]) for each in evidence)
        loudest = next((each for each in evidence if each.code == self.evidence), None)
        return loudest is not None and self.tag in ("", loudest.parameters.get("tag"))

    def is_possible(self, component: ComponentSettings) -> bool:
        """Return whether a component could ever show it: whether it reads the row's tag."""
        return not self.tag or self.tag in wear_tags(component.wear)


Table = Sequence[tuple[int, SymptomSettings]]
"""The rows that concern a component, each with its number in the whole table, counted from 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a named person says of the part that is in a component now; `by` is an opaque person id."""

    said: str
    at: datetime
    by: str


def table_for(component: str, rows: Sequence[SymptomSettings]) -> tuple[tuple[int, SymptomSettings], ...]:
    """Return the rows that concern a component."""
    return tuple((number, row) for number, row in enumerate(rows, 1) if row.concerns(component))


def choices(table: Table) -> tuple[str, ...]:
    """Return what people may say of a component, in the order of the table, each once."""
    found: dict[str, str] = {}
    for _number, row in table:
        if row.said:
            found.setdefault(row.said.casefold(), row.said)
    return tuple(found.values())


def recognised(table: Table, said: str) -> str | None:
    """Return what a person says as the table writes it, None where no row knows it."""
    return next((row.said for _number, row in table if row.knows(said)), None)


def nearest(table: Table, said: str) -> list[str]:
    """Return what of the table reads most like what a person says, the nearest first."""
    known = {each.casefold(): each for each in choices(table)}
    return [known[each] for each in get_close_matches(said.casefold(), known, NEAREST_MAX)]


def evidence_of(table: Table, reports: Sequence[Report]) -> tuple[Evidence, ...]:
    """Return what people say as evidence, oldest first, then the row that takes any of it for a failure."""
    found = []
    for each in reports:
        code = NOTED if recognised(table, each.said) is None else REPORTED
        found.append(Evidence(code, {"symptom": each.said, "by": each.by, "at": each.at.isoformat()}))
    for number, row in table:
        if row.failure and any(row.knows(each.said) for each in reports):
            return (*found, Evidence(FAILURE_SAID, {"row": str(number), "symptom": row.said}))
    return tuple(found)


def job_for(
    own: JobSettings, table: Table, jobs: Mapping[str, JobSettings], evidence: tuple[Evidence, ...]
) -> tuple[JobSettings, tuple[Evidence, ...]]:
    """Return the job that evidence calls for, and the evidence with the row that chose it, if one did."""
    for number, row in table:
        if row.fits(evidence):
            if not row.job:
                return own, evidence
            figures = {"job": row.job, "row": str(number), "evidence": row.evidence, "tag": row.said or row.tag}
            return jobs[row.job], (*evidence, Evidence(JOB_CHOSEN, figures))
    return own, evidence
