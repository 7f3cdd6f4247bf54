"""A table from symptom to job: the first row that fits decides, and the need says which it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maintenance.monitor import Monitor
from maintenance.needs import Evidence
from maintenance.settings import JobSettings
from maintenance.slots import Watched
from maintenance.symptoms import JOB_CHOSEN, SymptomSettings, job_for, table_for
from tests.unit.maintenance.conftest import TAGS, Mill, settings

OWN = JobSettings(title="Replace the bearing")
JOBS = {"relubricate": JobSettings(title="Relubricate"), "align": JobSettings(title="Align the shaft")}
LOUD = tuple(Evidence("DEVIATION_TAG", {"tag": tag, "z": "+9"}) for tag in ("temperature", "vibration"))


def row(evidence: str = "DEVIATION_TAG", tag: str = "", job: str = "relubricate", component: str = "*"):
    return SymptomSettings(component=component, evidence=evidence, tag=tag, job=job)


def title(rows: list[SymptomSettings], evidence: tuple[Evidence, ...] = LOUD, component: str = "mill/bearing") -> str:
    return job_for(OWN, table_for(component, rows), JOBS, evidence)[0].title


def test_without_a_row_that_fits_it_is_the_components_own_job():
    assert title([]) == "Replace the bearing"
    assert title([row(evidence="LEVEL")]) == "Replace the bearing"
    assert job_for(OWN, (), JOBS, LOUD) == (OWN, LOUD)


def test_only_the_loudest_counts():
    assert title([row(tag="temperature")]) == "Relubricate"
    assert title([row(tag="vibration")]) == "Replace the bearing"


def test_the_first_row_that_fits_decides_and_says_so():
    rows = [row(tag="vibration", job="align"), row(component="saw/*"), row(job="align"), row(tag="temperature")]
    job, evidence = job_for(OWN, table_for("mill/bearing", rows), JOBS, LOUD)
    assert job.title == "Align the shaft"
    figures = {"job": "align", "row": "3", "evidence": "DEVIATION_TAG", "tag": ""}
    assert evidence == (*LOUD, Evidence(JOB_CHOSEN, figures))


@pytest.mark.parametrize(
    ("pattern", "concerned"),
    [("*", True), ("mill/bearing", True), ("*/bearing", True), ("mill/*", True), ("mill", False), ("MILL/*", False)],
)
def test_components_are_named_by_a_pattern(pattern: str, concerned: bool):
    assert row(component=pattern).concerns("mill/bearing") is concerned


@pytest.mark.parametrize(
    "wrong", [{"evidence": "deviation"}, {"evidence": ""}, {"job": ""}, {"component": ""}, {"tga": "x"}]
)
def test_a_row_that_could_not_be_meant_is_refused(wrong: dict[str, str]):
    with pytest.raises(ValidationError):
        SymptomSettings.model_validate(row().model_dump() | wrong)


rows_of = st.lists(
    st.builds(
        row, st.sampled_from(["LEVEL", "DEVIATION_TAG"]), st.sampled_from(["", "vibration"]), st.sampled_from([*JOBS])
    ),
    max_size=5,
)
evidences = st.lists(
    st.builds(
        lambda code, tag: Evidence(code, {"tag": tag}),
        st.sampled_from(["LEVEL", "DEVIATION_TAG"]),
        st.sampled_from(["vibration", "temperature"]),
    ),
    max_size=4,
).map(tuple)


@given(rows_of, evidences)
def test_rows_after_the_one_that_decides_change_nothing(rows: list[SymptomSettings], found: tuple[Evidence, ...]):
    _job, evidence = job_for(OWN, table_for("m/c", rows), JOBS, found)
    if len(evidence) == len(found):
        assert not any(each.fits(found) for each in rows)
        return
    number = int(evidence[-1].parameters["row"])
    assert job_for(OWN, table_for("m/c", rows[:number]), JOBS, found) == (_job, evidence)
    assert not any(each.fits(found) for each in rows[: number - 1])


def test_the_monitor_asks_the_table_at_every_revision(make_mill: Callable[..., Mill]):
    mill = make_mill()
    rows = [SymptomSettings(component="mill/oil", evidence="USAGE", job="relubricate")]
    watched = Watched("mill", settings("oil"), TAGS, table_for("mill/oil", rows), JOBS)
    monitor = Monitor({"mill/oil": watched})
    need = monitor.assess("mill/oil", mill.now)
    codes = [reason.code for reason in need.evidence]
    assert ("USAGE" in codes, need.job) == (True, "Relubricate")
    assert codes[-1] == JOB_CHOSEN
    plain = Monitor({"mill/oil": Watched("mill", settings("oil"), TAGS)}).assess("mill/oil", mill.now)
    assert plain.job == "Replace the oil"
