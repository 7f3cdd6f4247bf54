"""One broken line each: what `check` says about it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from gateway import config, starter
from gateway.actions import Right
from gateway.alarm_watch import plan_of
from gateway.reload import watched
from gateway.settings import AuditSettings
from gateway.yaml_file import Mistakes
from maintenance.alarms.kinds import AlarmKind, Consequence
from maintenance.alarms.rules import USUAL
from marketplace.audit.note import KeyKind, verifier_of
from marketplace.money import Money
from marketplace.store import Owner

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

TELEMETRY = """
connections:
  hall-2: {connector: opcua, url: "opc.tcp://10.0.0.5:4840", insecure: true, sampling: 1 s}
  plc: {connector: modbus, host: 10.0.0.9}
machines:
  press:
    name: Press
    connection: hall-2
    tags:
      vibration: {node: "nsu=urn:x;s=press.vibration", unit: mm/s}
    components:
      bearing:
        name: Bearing
        rated_life: 20000 h
        wear: {by: level, tag: vibration, as_new: 1.2 mm/s, limit: 7.1 mm/s}
        job: {title: Replace, lines: {bearing: {item: bearing-7014, quantity: 2}}}
        buying: {lead_time: 14 d, price: 380 EUR, standstill: 900 EUR/h}
  saw:
    name: Saw
    connection: plc
    tags:
      hours: {register: 40001, type: uint32, word_order: little, unit: h}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A valid site: the starter's organisation and items, and two machines with telemetry."""
    path = tmp_path / "toolcrib.yaml"
    starter.write(path, NOW)
    text = path.read_text()
    start, end = text.index("connections:"), text.index("items: ")
    path.write_text(text[:start] + TELEMETRY.lstrip() + "\n" + text[end:])
    return path


def edited(path: Path, before: str, after: str) -> Path:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        config.load(path)
    return [str(mistake).removeprefix(f"{path}:") for mistake in caught.value.mistakes]


def test_a_site_is_given_out_as_values(site):
    loaded = config.load(site)
    assert loaded.owner == Owner("northworks", "G1")
    assert loaded.zone == ZoneInfo("Europe/Berlin")
    assert loaded.directory == site.parent / "data"
    assert loaded.policy_file == site.parent / "policy.yaml"
    assert sorted(loaded.tags) == ["press/vibration", "saw/hours"]
    assert sorted(loaded.tags_of("plc")) == ["saw/hours"]
    assert loaded.units_of("press") == {"vibration": "mm/s"}
    assert loaded.components["press/bearing"].buying.price == Money(38000, "EUR")
    assert loaded.catalogue["bearing-7014"].mpn == "NL-7014-P4"
    (person,) = loaded.people.values()
    assert person.may == set(Right)
    assert loaded.persons_of(person.os_user) == tuple(loaded.people)
    assert loaded.persons_of("nobody-of-this-name") == ()


def test_what_can_be_meant_is_only_a_warning(site):
    (warning,) = config.load(site).warnings
    assert "class B" in str(warning)


def test_a_look_at_the_data_judges_nothing_but_the_site(site):
    edited(site, "quantity: 2", "quantity: none")
    place = config.place_of(site)
    assert (place.directory, place.owner) == (site.parent / "data", Owner("northworks", "G1"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("gateway: G1", "gatway: G1", ["6:3: site.gateway: is missing",
                                       "7:3: site.gatway: is not known here; did you mean 'gateway'?"]),
        ("gateway: G1", "gateway: g1x", ["7:12: site.gateway: is not written as it must be: ^[A-Z0-9]{2}$"]),
        ("Europe/Berlin", "Europe/Berlun",
         ["9:14: site.time_zone: is no time zone of the IANA data base, such as Europe/Berlin"]),
        ("time_zone: Europe/Berlin", "time_zone: ../../etc/passwd",
         ["9:14: site.time_zone: is no time zone of the IANA data base, such as Europe/Berlin"]),
        ("currency: EUR", "currency: EUX", ["10:13: site.currency: 'EUX' is not a currency known here"]),
        ('cost_centre: "4711"', "cost_centre: 4711",
         ["19:16: organisation.cost_centre: must be a text; put it in quotes"]),
        ("may: [approve", "may: [aprove",
         ["26:11: people.PERSON.may[0]: must be 'approve', 'apply_policy' or 'operate'"]),
        ("2000 EUR", "2000 USD", ["27:21: people.PERSON.approval_limit: is in USD, but the site's currency is EUR"]),
        ("port: 8080", "port: 80800", ["31:30: web.port: input should be less than or equal to 65535"]),
        ("bind: 127.0.0.1", "bind: 0.0.0.0",
         ["31:6: web: a page that other computers reach needs 'certificate' and 'key', or 'trusted_proxies'"]),
        ("connector: modbus", "connector: modbuz",
         [": connections.plc.connector: is not known here; did you mean 'modbus'?"]),
        ("{connector: modbus, host", "{host", [": connections.plc.connector: is missing"]),
        ("host: 10.0.0.9", "hots: 10.0.0.9", [": connections.plc.hots: is not known here; did you mean 'host'?"]),
        ("sampling: 1 s", "sampling: 1", [": connections.hall-2.sampling: '1' needs a number and its unit"]),
        ("connection: plc", "connection: pcl", [": machines.saw.connection: is not known here; did you mean 'plc'?"]),
        ("connection: plc", "", [": machines.saw.connection: is missing, and the machine has tags"]),
        ("register: 40001", "register: 50001", [": machines.saw.tags.hours.register: a register is 40001"]),
        ("tag: vibration", "tag: vibrations",
         [": machines.press.components.bearing.wear.tag: the machine has no tag vibrations; it has: vibration"]),
        ("as_new: 1.2 mm/s", "as_new: 1.2 bar",
         [": machines.press.components.bearing.wear.as_new: the tag vibration is in mm/s, this is in bar"]),
        ("rated_life: 20000 h", "rated_life: 20000 cycles",
         [": machines.press.components.bearing.rated_life: the rated life is in cycles but its clock runs in h"]),
        ("20000 h\n        wear: {by: level, tag: vibration, as_new: 1.2 mm/s, limit: 7.1 mm/s}",
         "20000 h\n        wear: {by: usage, clocks: {run: {tag: vibration, b10_life: 9 h}, age: {rated_life: 9 h}}}",
         ["45:21: machines.press.components.bearing.rated_life: each of several clocks has a life of its own",
          ": machines.press.components.bearing.wear.clocks.run.b10_life: the rated life is in h but its"]),
        ("item: bearing-7014", "item: bearing-7041",
         ["bearing.job.lines.bearing.item: is not known here; did you mean 'bearing-7014'?"]),
        ("quantity: 2", "quantity: 2, unit: LTR",
         [": machines.press.components.bearing.job.lines.bearing.unit: is in LTR, but the item is bought in C62"]),
        ("900 EUR/h", "900", [": machines.press.components.bearing.buying.standstill: 900 needs an amount and a unit"]),
        ("380 EUR", "380 USD", [": machines.press.components.bearing.buying: price, standstill, holding and failure"]),
        ("adapter: by_hand", "adapter: by_hnad",
         [": suppliers.corner-shop.adapter: is not known here; did you mean 'by_hand'?"]),
        ("approval: 8 h", "approval: 8 parsecs", [": timing.approval: 'parsecs' is not a unit of time"]),
        ("policy: policy.yaml", "policy: {mandate: all}", [": policy: "]),
        ("schema: 1", "schema: 1\nmaintenance_windows: [saturday 06:00-14:00, samstag 06:00-14:00, 25:00]",
         ["4:45: maintenance_windows[1]: samstag is no day; write one of: monday, tuesday",
          "4:66: maintenance_windows[2]: write days and times, such as 'saturday 06:00-14:00'"]),
        ("schema: 1", "schema: 1\nextra: 2", ["4:1: extra: is not known here"]),
        ("schema: 1", "schema: 1\nlearning: {bearing: bond}",
         ["4:21: learning.bearing: is not known here",
          "4:21: learning.bearing: must be 'bound', 'adaptable' or 'autonomous'"]),
    ],
)  # fmt: skip
def test_every_mistake_is_said_where_it_stands(site, before, after, said):
    (person,) = config.load(site).people
    found = mistakes(edited(site, before, after))
    assert len(found) == len(said), found
    for line, start in zip(found, said, strict=True):
        assert start.replace("PERSON", person) in line, found


SERVICE = "alignment: {item: bearing-7014, quantity: 1, kind: service}"


@pytest.mark.parametrize(
    ("windows", "duration", "said"),
    [
        ("", "6 h", []),
        ("maintenance_windows: [saturday 06:00-14:00]", "8 h", []),
        ("maintenance_windows: [saturday 06:00-14:00]", "9 h", ["no maintenance window is as long as that"]),
        ("", "32 d", ["takes 31 days at most"]),
        ("", "-6 h", ["is not a span of time"]),
        ("", "6 mm", ["is not a span of time"]),
    ],
)
def test_a_job_with_a_service_fits_into_a_window(site, windows, duration, said):
    edited(site, "schema: 1", f"schema: 1\n{windows}")
    path = edited(site, "lines: {bearing", f"duration: {duration}, lines: {{{SERVICE}, bearing")
    found = mistakes(path) if said else list(config.load(path).warnings[1:])
    assert len(found) == len(said), found
    assert all("bearing.job.duration: " in line and told in line for line, told in zip(found, said, strict=True))


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ("saturday 06:00-14:00, 2099-12-12 06:00 to 14:00", []),
        ("saturday 06:00-14:00, 2020-12-12 06:00 to 14:00", ["maintenance_windows[1]: is over"]),
        ("2099-12-12 06:00 to 14:00", ["maintenance_windows: none of them returns every week"]),
        ("saturday 06:00-14:00, 2027-03-28 02:10 to 02:50", ["maintenance_windows[1]: lies in an hour that clocks"]),
    ],
)
def test_windows_that_are_of_no_use_are_warned_of_where_they_stand(site, windows, said):
    found = config.load(edited(site, "schema: 1", f"schema: 1\nmaintenance_windows: [{windows}]")).warnings
    told = [str(each) for each in found if "maintenance_windows" in str(each)]
    assert len(told) == len(said), told
    assert all(start in line for line, start in zip(told, said, strict=True)), told


def test_a_window_that_is_none_is_a_mistake_by_line_and_column(site):
    text = "schema: 1\nmaintenance_windows: [saturday 06:00-14:00, 2026-02-30 06:00 to 14:00]"
    (line,) = mistakes(edited(site, "schema: 1", text))
    assert "4:45: maintenance_windows[1]: 2026-02-30 is no day" in line


@pytest.mark.parametrize(("hours", "count"), [(14, 0), (15, 1)])
def test_a_job_with_a_service_may_wait_for_a_window_that_comes_once(site, hours, count):
    once = "2099-12-12 06:00 to 20:00"
    edited(site, "schema: 1", f"schema: 1\nmaintenance_windows: [saturday 06:00-14:00, {once}]")
    path = edited(site, "lines: {bearing", f"duration: {hours} h, lines: {{{SERVICE}, bearing")
    found = mistakes(path) if count else []
    assert len(found) == count, found


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{when: saturday 06:00-14:00, machines: [saw, pres]}",
         ["4:88: maintenance_windows[1].machines[1]: is not known here; did you mean 'press'?"]),
        ("{when: samstag 06:00-14:00, machines: [press]}", ["4:50: maintenance_windows[1].when: samstag is no day"]),
        ("{when: saturday 06:00-14:00, machines: []}", ["maintenance_windows[1].machines: "]),
        ("{machines: [press]}", ["maintenance_windows[1].when: is missing"]),
        ("{when: saturday 06:00-14:00, machine: press}", ["maintenance_windows[1].machine: is not known here"]),
    ],
)  # fmt: skip
def test_every_mistake_of_a_window_for_some_machines_is_said_where_it_stands(site, row, said):
    text = f"schema: 1\nmaintenance_windows: [sunday 06:00-14:00, {row}]"
    found = mistakes(edited(site, "schema: 1", text))
    assert len(found) == len(said), found
    assert all(start in line for line, start in zip(found, said, strict=True)), found


@pytest.mark.parametrize(("machine", "said"), [("press", 1), ("saw", 0)])
def test_a_job_with_a_service_fits_into_a_window_of_its_machine(site, machine, said):
    window = f"{{when: saturday 06:00-08:00, machines: [{machine}]}}"
    edited(site, "schema: 1", f"schema: 1\nmaintenance_windows: [{window}]")
    path = edited(site, "lines: {bearing", f"duration: 6 h, lines: {{{SERVICE}, bearing")
    found = mistakes(path) if said else []  # the press may be worked on at any time where only the saw has windows
    assert len(found) == said, found
    assert bool(said) or config.load(path).windows.of("press").next(NOW, timedelta(hours=6)).start == NOW


def test_a_machine_whose_windows_all_end_is_warned_of_by_name(site):
    windows = "{when: saturday 06:00-14:00, machines: [saw]}, 2099-12-12 06:00 to 14:00"
    found = config.load(edited(site, "schema: 1", f"schema: 1\nmaintenance_windows: [{windows}]")).warnings
    (told,) = [str(each) for each in found if "maintenance_windows" in str(each)]
    assert "maintenance_windows: for press none returns every week" in told


SYMPTOMS = """
jobs:
  relubricate: {title: Relubricate, duration: 1 h, lines: {grease: {item: bearing-7014, quantity: 1}}}
symptoms:
  - {component: "*/bearing", evidence: LEVEL, tag: vibration, job: relubricate}
"""


def test_a_table_says_which_job_a_symptom_calls_for(site):
    edited(site, "\nitems:", f"{SYMPTOMS}\nitems:")
    (found,) = [each for key, each in watched(config.load(site)).items() if key == "press/bearing"]
    assert [(number, row.job) for number, row in found.symptoms] == [(1, "relubricate")]
    assert found.jobs["relubricate"].title == "Relubricate"


def test_a_table_knows_what_people_say(site):
    edited(site, "\nitems:", f"{SYMPTOMS}  - {{component: '*', said: seized, failure: true}}\nitems:")
    row = config.load(site).file.symptoms[1]
    assert (row.said, row.job, row.failure, row.evidence) == ("seized", "", True, "REPORTED")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("evidence: LEVEL, tag: vibration", "said: squeals, evidence: LEVEL", ["symptoms[0]: has either 'evidence'"]),
        ("evidence: LEVEL, tag: vibration, job: relubricate", "said: squeals, job: relubricat",
         ["symptoms[0].job: is not known here; did you mean 'relubricate'?"]),
        ("tag: vibration, job: relubricate", "failure: true", ["symptoms[0]: needs a 'job'"]),
        ("evidence: LEVEL", "evidence: NOTED", ["symptoms[0].evidence: is not known here"]),
        ("evidence: LEVEL", "evidence: FAILURE_SAID", ["symptoms[0].evidence: is not known here"]),
        ("job: relubricate", "job: relubricat", ["symptoms[0].job: is not known here; did you mean 'relubricate'?"]),
        ("evidence: LEVEL", "evidence: LEVLE", ["symptoms[0].evidence: is not known here; did you mean 'LEVEL'?"]),
        ("evidence: LEVEL", "evidence: JOB_CHOSEN", ["symptoms[0].evidence: is not known here"]),
        ("evidence: LEVEL", "evidence: level", ["symptoms[0].evidence: is not written as it must be"]),
        ("*/bearing", "*/baering", ["symptoms[0].component: no component is called like that"]),
        ("tag: vibration, job", "tag: vibrations, job",
         ["symptoms[0].tag: is not known here; did you mean 'vibration'?"]),
        ("item: bearing-7014, quantity: 1}", "item: grease, quantity: 1}", ["lines.grease.item: is not known here"]),
        ("quantity: 1}", "quantity: 1, unit: KGM}", ["jobs.relubricate.lines.grease.unit: is in KGM"]),
        ("duration: 1 h", "duration: 1 mm", ["jobs.relubricate.duration: 1 mm is not a span of time"]),
        ("title: Relubricate", "titel: Relubricate",
         ["jobs.relubricate.title: is missing", "jobs.relubricate.titel: is not known here"]),
        ("  - {component", "  - {component: x, evidence: LEVEL, job: what}\n  - {component",
         ["symptoms[0].component: no component", "symptoms[0].job: is not known here"]),
    ],
)  # fmt: skip
def test_every_mistake_of_the_table_is_said_where_it_stands(site, before, after, said):
    edited(site, "\nitems:", f"{SYMPTOMS}\nitems:")
    found = mistakes(edited(site, before, after))
    assert len(found) == len(said), found
    assert all(start in line for line, start in zip(found, said, strict=True)), found


def test_a_job_that_no_symptom_calls_for_is_a_warning(site):
    edited(site, "\nitems:", f"{SYMPTOMS.partition('symptoms:')[0]}\nitems:")
    assert any("jobs.relubricate: no symptom calls for it" in str(each) for each in config.load(site).warnings)


def test_windows_are_in_the_sites_time_zone(site):
    found = config.load(edited(site, "schema: 1", "schema: 1\nmaintenance_windows: [saturday 06:00-14:00]"))
    window = found.windows.of("press").next(datetime(2026, 7, 1, tzinfo=UTC))
    assert (window.start, found.site.time_zone) == (datetime(2026, 7, 4, 4, tzinfo=UTC), "Europe/Berlin")


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file(site):
    edited(site, "Europe/Berlin", "Mars/Olympus")
    edited(site, "host: 10.0.0.9", "")
    edited(site, "tag: vibration", "tag: vibrations")
    edited(site, "adapter: by_hand", "adapter: fax")
    found = mistakes(site)
    paths = [line.split(": ")[1] for line in found]
    assert paths == [
        "site.time_zone",
        "connections.plc",
        "machines.press.components.bearing.wear.tag",
        "suppliers.corner-shop.adapter",
    ]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("", "5:1: schema: is missing; the file begins with 'schema: 1'"),
        ("schema: 2", "schema: this file is of schema 2 and this program reads schema 1: upgrade Toolcrib"),
        ("schema: true", "schema: must be 1"),
        ('schema: "1"', "schema: must be 1"),
    ],
)
def test_a_file_of_another_schema_is_not_judged_further(site, schema, said):
    edited(site, "Europe/Berlin", "Mars/Olympus")
    (found,) = mistakes(edited(site, "schema: 1", schema))
    assert found.endswith(said) or said in found


HTTP = """suppliers:
  web-shop: {adapter: http, name: Kontor, url: "https://kontor.example", token: TOKEN, account: "1"}
"""


def test_a_secret_written_inline_is_refused_and_not_repeated(site):
    (found,) = mistakes(edited(site, "suppliers:\n", HTTP.replace("TOKEN", "s3cr3t-value")))
    assert "suppliers.web-shop.token: a secret is named, never written here" in found
    assert "s3cr3t" not in found


def test_a_secret_that_is_not_there_is_a_mistake_and_one_that_is_there_is_none(site):
    edited(site, "suppliers:\n", HTTP.replace("TOKEN", "{file: secrets/kontor}"))
    (found,) = mistakes(site)
    assert "suppliers.web-shop.token: the secret in" in found
    (site.parent / "secrets").mkdir()
    (site.parent / "secrets" / "kontor").write_text("abc\n")
    config.load(site)


def test_a_credential_of_systemd_is_a_warning_outside_of_systemd(site, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    edited(site, "suppliers:\n", HTTP.replace("TOKEN", "{credential: kontor}"))
    assert any("web-shop.token" in str(warning) for warning in config.load(site).warnings)


def test_a_section_whose_lines_are_all_commented_out_is_no_mistake(tmp_path):
    path = tmp_path / "toolcrib.yaml"
    starter.write(path, NOW)
    assert config.load(path).connections == {}


def test_two_persons_of_one_user_are_a_warning(site):
    (person,) = config.load(site).people
    user = config.load(site).people[person].os_user
    edited(site, "people: ", f'people:\n  tom: {{name: Tom, os_user: "{user}"}} # ')
    loaded = config.load(site)
    assert loaded.persons_of(user) == ("tom", person)
    assert any("neither guards the other" in str(warning) for warning in loaded.warnings)


def test_a_thousand_tags_are_read_within_a_second(site):
    tags = "".join(f'      t{n}: {{node: "nsu=urn:x;s=t{n}", unit: h}}\n' for n in range(1000))
    edited(site, "      vibration: {", tags + "      vibration: {")
    loaded = config.load(site)
    assert len(loaded.tags) == 1002


def test_the_schema_knows_every_installed_connector_and_adapter():
    text = json.dumps(config.schema())
    for name in ("OpcUaSettings", "ModbusTag", "ByHand", "lead_time", "clocks", "b10_life", "$schema"):
        assert name in text


LOG_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@pytest.mark.parametrize(
    ("audit", "said"),
    [
        ("{witnesses: [{key: x, folder: drop}]}", "is no public key"),
        (f"{{witnesses: [{{key: {LOG_KEY}, folder: drop}}]}}", "a key for something else"),
        (f"{{serve: {{name: w, logs: [{LOG_KEY}], port: 70000}}}}", "65535"),
        ("{serve: {name: w, logs: []}}", "logs"),
    ],
)
def test_who_witnesses_the_log_is_judged(site, audit, said):
    site.write_text(site.read_text() + f"\naudit: {audit}\n")
    assert said in "\n".join(mistakes(site))


def test_a_witness_has_one_way_and_each_its_own_key():
    key = str(verifier_of("w", KeyKind.WITNESS, Ed25519PrivateKey.from_private_bytes(b"w" * 32)))
    folder, url = {"key": key, "folder": "drop"}, {"key": key, "url": "http://10.0.0.7:8081"}
    assert AuditSettings.model_validate({"witnesses": [url]}).witnesses[0].url == url["url"]
    for wrong in ([{"key": key}], [folder | url], [folder, url]):
        with pytest.raises(ValidationError):
            AuditSettings.model_validate({"witnesses": wrong})


def test_the_audit_key_is_where_the_data_is_or_where_the_file_says(site):
    loaded = config.load(site)
    assert loaded.audit_key == loaded.directory / "audit.key"
    site.write_text(site.read_text() + "\naudit: {key: secrets/audit.key}\n")
    assert config.load(site).audit_key == site.parent / "secrets/audit.key"


def _hall(site: Path, more: str) -> Path:
    return edited(site, "insecure: true", more)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("certificate: nowhere.der, key: nowhere.pem", ": there is no such file"),
        ("user: {name: plc, password: {file: nowhere}}", ": there is no such file"),
        ("user: {name: plc, password: hunter2}", "a secret is named, never written here"),
        ("server_certificate: [sha256:ab]", "64 hexadecimal digits"),
        ("deprecated_policies: [Basic64]", "must be"),
    ],
)
def test_what_a_machine_is_trusted_by_is_judged(site, more, said):
    with pytest.raises(Mistakes) as caught:
        config.load(_hall(site, more))
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_certificate_that_cannot_be_used_costs_its_connection_and_not_the_start(site):
    for name in ("ours.der", "ours.pem"):
        (site.parent / name).write_text("nothing")
    found = config.load(_hall(site, "certificate: ours.der, key: ours.pem, deprecated_policies: [Basic256]"))
    assert found.connections["hall-2"].certificate == site.parent / "ours.der"
    told = [str(each) for each in found.warnings]
    assert any("holds no certificate" in each for each in told)
    assert any("class B" in each for each in told)
    assert any("until 'toolcrib trust pin' lets it in" in each for each in told)


WITHIN = "alarms: {acknowledge_within: {default: 8 h}"


def test_alarms_are_set_at_the_site_and_at_a_component_and_nothing_has_to_be(site):
    rules = plan_of(config.load(site)).rules
    assert rules.of("press/bearing").terms == USUAL
    edited(
        site,
        "buying: {lead_time: 14 d",
        "alarms: {consequence: severe, health_low: {band: 10 %}}\n        buying: {lead_time: 14 d",
    )
    edited(site, WITHIN, f"{WITHIN}, connection_lost: {{on_delay: 10 min}}, health_low: {{limit: 25 %}}")
    plan = plan_of(config.load(site))
    own = plan.rules.of("press/bearing")
    assert (own.terms[AlarmKind.HEALTH_LOW].limit, own.terms[AlarmKind.HEALTH_LOW].band) == (0.25, 0.1)
    assert own.consequence is Consequence.SEVERE
    assert plan.rules.delays(AlarmKind.CONNECTION_LOST, "").on == timedelta(minutes=10)
    assert (plan.connections["press"], plan.tags["hall-2"], plan.components["hall-2"]) == ("hall-2", 1, 1)
    assert [(each.tag, each.after) for each in plan.sensors] == [("press/vibration", timedelta(days=7))]


def test_a_mistake_about_an_alarm_is_said_where_it_stands(site):
    edited(
        site,
        "buying: {lead_time: 14 d",
        "alarms: {health_low: {limit: 20 h}, connection_lost: {}}\n        buying: {lead_time: 14 d",
    )
    edited(site, WITHIN, f"{WITHIN}, decide_by_near: {{limit: 5 %}}, helth_low: {{}}")
    said = [each.partition(": ")[2] for each in mistakes(site)]
    assert [each.partition(": ")[0] for each in said] == [
        "machines.press.components.bearing.alarms.health_low.limit",
        "machines.press.components.bearing.alarms.connection_lost",
        "alarms.decide_by_near.limit",
        "alarms.helth_low",
    ]
    assert "20 h is no share" in said[0]
    assert "5 % is no span of time" in said[2]
    assert "did you mean 'health_low'?" in said[3]


FEATURES = """
      spindle_raw: {node: "nsu=urn:x;s=press.raw", unit: g, window: true}
      speed: {node: "nsu=urn:x;s=press.speed", unit: rpm}
    features:
      spindle_velocity: {from: spindle_raw, kind: velocity_rms, sampling_rate: 25600 Hz}
      spindle_bpfo:
        from: spindle_raw
        kind: envelope_bpfo
        sampling_rate: 25600 Hz
        shaft_speed: speed
        bearing: {balls: 9, ball_diameter: 7.94 mm, pitch_diameter: 39.04 mm, contact_angle: 0 deg}
"""


@pytest.fixture
def listening(site: Path) -> Path:
    """The site, whose press sends raw windows and whose bearing wears by a feature of them."""
    tag = '      vibration: {node: "nsu=urn:x;s=press.vibration", unit: mm/s}\n'
    edited(site, tag, tag + FEATURES.lstrip("\n"))
    return edited(site, "tag: vibration,", "tag: spindle_velocity,")


def test_a_feature_is_a_tag_of_its_machine_that_comes_over_no_wire(listening):
    loaded = config.load(listening)
    assert sorted(loaded.features) == ["press/spindle_bpfo", "press/spindle_velocity"]
    assert loaded.units_of("press") == {
        "vibration": "mm/s",
        "spindle_raw": "g",
        "speed": "rpm",
        "spindle_velocity": "mm/s",
        "spindle_bpfo": "g",
    }
    assert "press/spindle_bpfo" not in loaded.tags_of("hall-2")
    assert set(loaded.heard_over("hall-2")) == {*loaded.tags_of("hall-2"), *loaded.features}
    assert loaded.heard_over("plc") == ("saw/hours",)
    found = loaded.computed()["press/spindle_bpfo"]
    assert (found.window, found.speed_tag, found.speed_unit) == ("spindle_raw", "speed", "rpm")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("features:\n      spindle_velocity: {from: spindle_raw", "features:\n      spindle_velocity: {from: spindle",
         [":32: machines.press.features.spindle_velocity.from: the machine has no tag spindle; its windows are:"]),
        ("unit: g, window", "unit: mm/s, window",
         ["47:15: machines.press.features.spindle_bpfo.from: envelope_bpfo is computed from a tag in m/s2 or"]),
        ("limit: 7.1 mm/s", "limit: 0.28 in/s",
         [": machines.press.components.bearing.wear.limit: the tag spindle_velocity is in mm/s, this is in in/s"]),
        ("kind: velocity_rms,", "kind: velocity_rms, unit: in/s,",
         ["bearing.wear.as_new: the tag spindle_velocity is in in/s", "bearing.wear.limit: the tag spindle_velocity"]),
        ("kind: velocity_rms,", "kind: velocity,", [": machines.press.features.spindle_velocity.kind: must be"]),
        ("ball_diameter: 7.94 mm", "ball_diameter: 7.94", ["51:44: machines.press.features.spindle_bpfo.bearing.ball"]),
        ("ball_diameter: 7.94 mm", "ball: 7.94 mm",
         ["bearing.ball_diameter: is missing", "bearing.ball: is not known here; did you mean 'balls'?"]),
        ("      spindle_bpfo:", "      vibration:",
         [": machines.press.features.vibration: is a tag already: name the feature otherwise"]),
        ("tag: spindle_velocity,", "tag: spindle_raw,",
         [": machines.press.components.bearing.wear: reads the tag spindle_raw, a window of many numbers",
          "bearing.wear.as_new: the tag spindle_raw is in g", "bearing.wear.limit: the tag spindle_raw is in g"]),
        ("unit: g, window: true", "unit: g, window: true, deadband: 1 g",
         ["a 'window' has no 'deadband'"]),
        ("register: 40001,", "register: 40001, window: true,", [": machines.saw.tags.hours.window: is not known here"]),
    ],
)  # fmt: skip
def test_every_mistake_of_a_feature_is_said_where_it_stands(listening, before, after, said):
    found = mistakes(edited(listening, before, after))
    assert len(found) == len(said), found
    for start in said:
        assert any(start in line for line in found), found


def test_a_window_that_no_feature_is_computed_from_is_a_warning(listening):
    assert not any("no feature" in str(warning) for warning in config.load(listening).warnings)
    edited(listening, "window: true}", 'window: true}\n      idle: {node: "nsu=urn:x;s=i", unit: g, window: true}')
    (warning,) = [each for each in config.load(listening).warnings if "no feature" in str(each)]
    assert "machines.press.tags.idle" in str(warning)
