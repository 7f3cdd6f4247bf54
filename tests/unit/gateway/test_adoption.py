"""What machines say of themselves, as a config says it: added to what a person wrote, and changing none of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from connectors.opcua.machinery import (
    DiscoveredComponent,
    DiscoveredMachine,
    Lifetime,
    Nameplate,
    Prognosis,
    Signal,
)
from gateway.adoption import addition_of, apply
from gateway.config import Config, load
from gateway.config_edit import edited, replace
from gateway.keys import key_of
from maintenance.settings import CLOCKS_MAX, ComponentSettings, UsageWear, problems
from tests.journeys.test_reload import SITE

DOCUMENT = """\
# our hall
{head}
connections:
  hall: {{connector: opcua, url: "opc.tcp://10.0.0.5:4840", insecure: true}}
machines: {{}}              # none yet
items:
  seal: {{manufacturer: Dichtwerk, mpn: DW-60}}   # the blue ones
"""


def signal(name: str, unit: str = "h") -> Signal:
    return Signal(f"nsu=urn:m;s={name}", name, f"Machines/M/{name}", unit)


def component(name: str = "Seal", *lives: Lifetime, plate: Nameplate | None = None) -> DiscoveredComponent:
    given = lives or (Lifetime(signal(f"{key_of(name)}-hours"), 0.0, 500.0),)
    return DiscoveredComponent(name, f"Machines/M/{name}", plate or Nameplate("Dichtwerk", "Lip", "DW-60", "4"), given)


def machine(*components: DiscoveredComponent, name: str = "M-1", **more: Any) -> DiscoveredMachine:
    return DiscoveredMachine(
        name, f"Machines/{name}", Nameplate("Maker", "F3", "F3-1", "77"), components=components, **more
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in SITE.items())
    path = tmp_path / "toolcrib.yaml"
    path.write_text(DOCUMENT.format(head=head))
    return path


def adopt(file: Path, *machines: DiscoveredMachine) -> tuple[Config, list[str]]:
    told: list[str] = []

    def edit(document: Any) -> None:
        addition = addition_of(machines, document, "hall")
        told.extend(addition.lines())
        apply(document, addition)

    replace(file, edited(file, edit))
    return load(file), told


def test_a_machine_becomes_components_with_wear_and_identity(file: Path):
    config, told = adopt(file, machine(component(), counters={"OperationDuration": signal("OperationDuration", "ms")}))
    settings = config.file.machines["m-1"]
    assert (settings.connection, settings.identity.serial if settings.identity else None) == ("hall", "77")
    found = config.components["m-1/seal"]
    assert (str(found.rated_life), found.identity.serial if found.identity else None) == ("500 h", "4")
    assert found.wear == UsageWear(by="usage", tag="seal-seal-hours", resets_at_fitting=True)
    assert config.units_of("m-1") == {"seal-seal-hours": "h", "operation-duration": "ms"}
    assert found.buying is None
    assert "+ machines.m-1.components.seal  (500 h)" in told


def test_a_part_is_the_item_that_the_config_has_for_it(file: Path):
    config, _told = adopt(file, machine(component(), component("Ring", plate=Nameplate("Nord", "R", "R-1", ""))))
    assert config.components["m-1/seal"].job.lines["part"].item == "seal"
    assert config.components["m-1/ring"].job.lines["part"].item == "nord-r-1"
    assert config.file.items["nord-r-1"].mpn == "R-1"


def test_a_part_without_maker_or_number_is_no_item(file: Path):
    config, _told = adopt(
        file, machine(component("A", plate=Nameplate("Nord")), component("B", plate=Nameplate("", "X")))
    )
    assert [config.components[f"m-1/{key}"].job.lines for key in ("a", "b")] == [{}, {}]
    assert list(config.file.items) == ["seal"]


def test_a_lifetime_that_runs_down_is_counted_from_where_it_begins(file: Path):
    life = Lifetime(signal("Strokes", "cycles"), 45_000.0, 5_000.0, (9_000.0, 6_000.0))
    config, _told = adopt(file, machine(component("Seal", life)))
    found = config.components["m-1/seal"]
    assert str(found.rated_life) == "40000 cycles"
    assert isinstance(found.wear, UsageWear)
    assert (found.wear.as_new, found.wear.counts_down, found.wear.resets_at_fitting) == (45_000, True, True)
    assert "seal: # the machine warns at 9000, 6000 cycles" in " ".join(file.read_text().split())


def test_adopting_twice_adds_once_and_leaves_what_people_wrote(file: Path):
    adopt(file, machine(component()))
    text = file.read_text().replace("name: M-1", "name: The old lady   # hands off")
    file.write_text(text.replace("seal:\n", "dripping-seal:\n", 1).replace("m-1:", "lady:"))
    before = file.read_text()
    _config, told = adopt(file, machine(component()))
    assert (told, file.read_text()) == ([], before)
    assert "# our hall" in before
    assert "# the blue ones" in before


def test_a_new_component_is_added_to_the_machine_that_was_adopted_before(file: Path):
    adopt(file, machine(component()))
    config, told = adopt(file, machine(component(), component("Filter", plate=Nameplate())))
    assert list(config.file.machines) == ["m-1"]
    assert told == ["+ machines.m-1.tags.filter-filter-hours", "+ machines.m-1.components.filter  (500 h)"]


def test_two_machines_and_parts_of_one_name_have_keys_of_their_own(file: Path):
    one = machine(component("Seal"), component("Seal", Lifetime(signal("Other"), 0.0, 9.0)))
    other = DiscoveredMachine("M 1", "x", Nameplate(), components=(component("Cap"),))
    config, _told = adopt(file, one, other)
    assert list(config.components) == ["m-1/seal", "m-1/seal-2", "m-1-2/cap"]


def test_a_part_with_several_lifetimes_wears_by_each_of_them(file: Path):
    lives = Lifetime(signal("Hours"), 0.0, 500.0), Lifetime(signal("Strokes", "cycles"), 45_000.0, 5_000.0, (6_000.0,))
    config, told = adopt(file, machine(component("Seal", *lives)))
    wear = config.components["m-1/seal"].wear
    assert isinstance(wear, UsageWear)
    hours, strokes = wear.clocks.values()
    assert list(wear.clocks) == ["hours", "strokes"]
    assert (hours.tag, str(hours.rated_life), hours.resets_at_fitting) == ("seal-hours", "500 h", True)
    assert (strokes.tag, str(strokes.rated_life), strokes.as_new, strokes.counts_down) == (
        "seal-strokes", "40000 cycles", 45_000, True,
    )  # fmt: skip
    assert "+ machines.m-1.components.seal  (500 h, 40000 cycles)" in told
    assert "the machine warns at 6000 cycles" in file.read_text()
    assert adopt(file, machine(component("Seal", *lives)))[1] == []


def test_more_lifetimes_than_a_part_may_have_clocks_are_tags_and_said(file: Path):
    lives = [Lifetime(signal(str(number), "cycles"), 0.0, 100.0) for number in range(CLOCKS_MAX + 1)]
    addition = addition_of([machine(component("Seal", *lives))], {}, "hall")
    assert len(addition.machines[0].components["seal"]["wear"]["clocks"]) == CLOCKS_MAX
    assert len(addition.machines[0].tags) == CLOCKS_MAX + 1
    assert f"Machines/M/{CLOCKS_MAX}" in addition.notes[0]
    config, _told = adopt(file, machine(component("Seal", *lives)))
    assert len(config.components["m-1/seal"].wear.clocks) == CLOCKS_MAX  # type: ignore[union-attr]


def test_counters_without_a_life_are_suggested_to_who_knows_one(file: Path):
    counters = {
        "OperationDuration": signal("OperationDuration", "ms"),
        "OperationCycleCounter": signal("OperationCycleCounter", "cycles"),
    }
    found = machine(counters=counters)
    (note,) = addition_of([found], {}, "hall").notes
    said = note[note.index("part:") :].replace("...", "1")
    config, _told = adopt(file, found)
    written = YAML(typ="safe").load("{" + said + "}")["part"] | {"name": "Pump"}
    settings = ComponentSettings.model_validate(written | {"job": {"title": "Replace the pump"}})
    assert problems(settings, config.units_of("m-1")) == []
    assert addition_of([found], config.file.model_dump(mode="json"), "hall").notes == ()


def test_a_prognosis_is_a_component_that_is_due_when_the_machine_says_so(file: Path):
    told = Prognosis("Belt maintenance", "MaintenancePrognosisType", "Replace belt", signal("Predicted", "s"))
    config, _told = adopt(file, machine(prognoses=(told,)))
    assert config.units_of("m-1") == {"belt-maintenance-predicted": "s"}
    made = config.components["m-1/belt-maintenance"]
    assert (made.wear.by, made.job.title, made.buying) == ("foretold", "Replace belt", None)
    again, _told = adopt(file, machine(prognoses=(told,)))
    assert list(again.components) == ["m-1/belt-maintenance"]


@pytest.mark.parametrize("name", ["x: y # z", "\x1b[2J", "- a\nb", "ü" * 500, "'\"{}", "\u2028"])
def test_whatever_a_machine_is_called_the_config_stays_one(file: Path, name: str):
    plate = Nameplate(*[name[:100]] * 4)
    config, _told = adopt(file, machine(component(name, plate=plate), name=name))
    assert len(config.components) == 1
    assert "\x1b" not in file.read_text()


def test_numbers_are_written_with_every_digit_and_no_exponent(file: Path):
    large = component("Seal", Lifetime(signal("S", "cycles"), 0.0, 1e9))
    small = component("Cap", Lifetime(signal("C", "mm"), 0.25, 0.125))
    config, _told = adopt(file, machine(large, small))
    lives = [str(each.rated_life) for each in config.components.values()]
    assert lives == ["1000000000 cycles", "0.125 mm"]
