"""A table from symptom to job: the first row that fits decides, and the need says which it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maintenance.monitor import Monitor
from maintenance.needs import FAILURE_SAID, NOTED, Evidence
from maintenance.settings import JobSettings
from maintenance.slots import Watched
from maintenance.symptoms import (
    JOB_CHOSEN,
    REPORTED,
    Report,
    SymptomSettings,
    choices,
    evidence_of,
    in_words,
    job_for,
    nearest,
    recognised,
    table_for,
)
from tests.unit.maintenance.conftest import TAGS, Mill, settings, watched

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
    "wrong",
    [
        {"evidence": "deviation"}, {"evidence": ""}, {"job": ""}, {"component": ""}, {"tga": "x"}, {"said": "squeals"},
        {"evidence": REPORTED}, {"failure": True}, {"evidence": REPORTED, "said": " \n"},
        {"evidence": REPORTED, "said": "x" * 101}, {"evidence": REPORTED, "said": "squeals", "tag": "vibration"},
    ],
)  # fmt: skip
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


MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SAYINGS = table_for(
    "mill/oil",
    [
        SymptomSettings(component="saw/*", said="smokes", failure=True),
        SymptomSettings(component="mill/*", said="Grinding noise", job="relubricate"),
        SymptomSettings(component="*/oil", said="leaks", failure=True),
        SymptomSettings(component="mill/*", said="grinding  NOISE", job="align"),
    ],
)


def report(said: str, hours: float = 0.0) -> Report:
    return Report(said, MONDAY + timedelta(hours=hours), "ben")


def test_what_people_may_say_is_listed_once_and_in_its_order():
    assert choices(SAYINGS) == ("Grinding noise", "leaks")
    assert recognised(SAYINGS, "grinding NOISE") == "Grinding noise"
    assert recognised(SAYINGS, "smokes") is None


def test_the_nearest_sayings_are_named():
    assert nearest(SAYINGS, "grinding nose") == ["Grinding noise"]
    assert nearest(SAYINGS, "LEAK") == ["leaks"]
    assert nearest(SAYINGS, "zzz") == []


def test_what_a_person_says_is_evidence_with_its_source_and_chooses_the_job():
    told = evidence_of(SAYINGS, [report("grinding noise"), report("warm", 1.0)])
    assert [each.code for each in told] == [REPORTED, NOTED]
    assert told[0].parameters == {"symptom": "grinding noise", "by": "ben", "at": "2026-03-02T00:00:00+00:00"}
    job, evidence = job_for(OWN, SAYINGS, JOBS, told)
    assert job.title == "Relubricate"
    figures = {"job": "relubricate", "row": "2", "evidence": REPORTED, "tag": "Grinding noise"}
    assert evidence[-1] == Evidence(JOB_CHOSEN, figures)


def test_a_note_chooses_nothing():
    told = evidence_of(SAYINGS, [report("grindingnoise")])
    assert job_for(OWN, SAYINGS, JOBS, told) == (OWN, told)


def test_a_row_without_a_job_leaves_it_to_the_component_and_ends_the_search():
    told = evidence_of(SAYINGS[1:], [report("leaks"), report("grinding noise")])
    assert told[-1] == Evidence(FAILURE_SAID, {"row": "3", "symptom": "leaks"})
    assert job_for(OWN, SAYINGS[1:], JOBS, told) == (OWN, told)


@pytest.mark.parametrize("text", ["", "  ", "x" * 101, "bell\a"])
def test_what_is_no_symptom_is_refused(text: str):
    with pytest.raises(ValueError, match="in a few words"):
        in_words(text)
    assert in_words("  Gera\u0308usch \n beim Anlauf ") == "Ger\u00e4usch beim Anlauf"


def oil(table: tuple[tuple[int, SymptomSettings], ...] = SAYINGS) -> Monitor:
    return Monitor({"mill/oil": Watched("mill", settings("oil"), TAGS, table, JOBS)})


@given(st.lists(st.sampled_from(["grinding noise", "leaks", "warm", "smokes"]), unique=True))
def test_words_never_make_known_what_is_not_and_move_a_belief_only_by_the_table(said: list[str]):
    silent = oil().assess("mill/oil", MONDAY)
    monitor = oil()
    monitor.reported("mill/oil", [report(each) for each in said])
    need = monitor.assess("mill/oil", MONDAY)
    assert (need.belief.known, need.belief.provenance) == (silent.belief.known, silent.belief.provenance)
    failed = "leaks" in said
    within = [need.belief.failure_probability(timedelta(hours=hours)) for hours in (1, 100, 10_000)]
    expected = [silent.belief.failure_probability(timedelta(hours=hours)) for hours in (1, 100, 10_000)]
    assert within == ([1.0, 1.0, 1.0] if failed else expected)
    assert (need.health, need.told_enough) == ((0.0, True) if failed else (silent.health, silent.told_enough))


def test_another_symptom_is_another_revision_and_ends_with_the_part(mill: Mill):
    before = mill.monitor.assess("mill/oil", mill.now)
    mill.monitor.reported("mill/oil", [report("warm")])
    need = mill.monitor.assess("mill/oil", mill.now)
    assert need.revision == before.revision + 1
    assert NOTED in [each.code for each in need.evidence]
    mill.fit("oil")
    assert NOTED not in [each.code for each in mill.monitor.assess("mill/oil", mill.now).evidence]


def test_a_component_that_is_watched_otherwise_keeps_what_people_say(mill: Mill):
    mill.monitor.reported("mill/oil", [report("warm")])
    other = watched(oil={"rated_life": "900 h"})
    mill.monitor.change(other, {"mill/oil": mill.monitor.life("mill/oil")})
    assert NOTED in [each.code for each in mill.monitor.assess("mill/oil", mill.now).evidence]
