"""The command line, as people and programs meet it: answers on stdout, one sentence on stderr, three exit codes."""

import asyncio
import getpass
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import insert

from gateway import VERSION, config, starter
from gateway.actions import Outcome
from gateway.cli import main
from gateway.control import Door, serve
from gateway.databases import open_databases
from gateway.learning.kinds import Kind, Wearing
from gateway.learning.ledger import keep
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from maintenance.alarms import store as kept_alarms
from maintenance.alarms.alarm import Finding, shelved
from maintenance.alarms.book import Book
from maintenance.alarms.kinds import AlarmKind
from maintenance.alarms.rules import Rules
from maintenance.alarms.states import EDGES
from maintenance.needs import Belief, Evidence, JobKind, JobLine, Need, Provenance
from maintenance.picture import Picture
from maintenance.store import save_needs
from marketplace import stock, store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import alarms, halts
from marketplace.authority.alarms import AlarmCode
from marketplace.authority.scopes import BY_ALARM, BY_PERSON, PLANT, Scope, ScopeKind
from marketplace.money import Money

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NUMBER = "G1-0001-7"


def toolcrib(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "TOOLCRIB_CONFIG"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh site, and we stand in its directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOOLCRIB_CONFIG", raising=False)
    starter.write(Path("toolcrib.yaml"), NOW)
    return tmp_path / "toolcrib.yaml"


@pytest.fixture
async def worked(site: Path) -> Path:
    """The same, after a gateway has worked there: one order waits for a person."""
    loaded = config.load(site)
    owner = loaded.owner
    said = {"number": NUMBER, "supplier": "corner-shop", "total": 76000, "currency": "EUR", "freight": 0, "fees": 0,
            "lines": [{"number": 1, "amount": 76000, "mpn": "NL-7014-P4"}]}  # fmt: skip
    document = json.dumps(said)
    order_hash = sha256(document.encode()).hexdigest()
    order: dict[str, Any] = {
        "number": NUMBER, "supplier": "corner-shop", "machine": "mill", "state": "awaiting_approval", "currency": "EUR",
        "total_minor": 76000, "document": document, "order_hash": order_hash, "key": "k1", "provenance": "B",
        "authority": "", "decided_by": "", "rule": "PROVENANCE_B", "policy_version": 1, "quoted_until": NOW,
        "supplier_reference": "", "problem": "", "created_at": NOW, "changed_at": NOW, **owner.columns,
    }  # fmt: skip
    line: dict[str, Any] = {
        "order_number": NUMBER, "number": 1, "item": "bearing-7014", "sku": "B-7014", "quantity": Decimal(2),
        "unit": "C62", "unit_price": Decimal("380.00"), "per": Decimal(1), "confirmed": Decimal(0),
        "shipped": Decimal(0), "received": Decimal(0), "invoiced": Decimal(0), **owner.columns,
    }  # fmt: skip
    async with open_databases(loaded.directory) as databases, databases.spend.write() as tx:
        await tx.execute(insert(store.purchase_order).values(**order))
        await tx.execute(insert(store.order_line).values(**line))
        actor = Actor(ActorKind.GATEWAY, "G1", "policy")
        await log.append(tx, owner, "order.proposed", NUMBER, actor, {"order_hash": order_hash}, NOW)
    return site


class Clerk:
    """Keeps `gateway.actions.Actions`' promise by writing down what was asked."""

    def __init__(self) -> None:
        self.acts: list[tuple[str, tuple[Any, ...]]] = []
        self.outcome = Outcome(True, "DONE", "It is done.")

    def __getattr__(self, name: str) -> Any:
        async def act(*arguments: Any, **named: Any) -> Outcome:
            self.acts.append((name, (*arguments, *(each for each in named.values() if each))))
            return self.outcome

        return act


@pytest.fixture(autouse=True)
def logs_are_kept_off_stdout() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@asynccontextmanager
async def running(site: Path, clerk: Clerk) -> AsyncIterator[None]:
    """A gateway's control socket, with a clerk behind it."""
    loaded = config.load(site)

    async def links(person: str) -> str:
        return f"http://127.0.0.1:8080/sign-in/for-{person}"

    status = {"ready": True, "plant_time": NOW.isoformat()}
    loaded.directory.mkdir(exist_ok=True)
    async with serve(Door(clerk, loaded.persons_of, links, lambda: status), loaded.directory):
        yield


async def do(*words: str) -> int:
    return await asyncio.to_thread(main, words)


def test_the_version_is_the_installed_one():
    assert toolcrib("--version").stdout == f"toolcrib {VERSION}\n"
    assert version("toolcrib") == VERSION


def test_help_names_every_command():
    shown = toolcrib("--help")
    assert shown.returncode == 0
    for name in ("init", "check", "schema", "run", "demo", "needs", "orders", "approvals", "why", "approve", "deny",
                 "received", "reading", "symptom", "fitted", "learning", "stock", "answer", "prices", "states", "audit",
                 "policy", "simulate",
                 "benchmark", "sign-in", "status", "cancel", "release", "stop", "resume", "stops",
                 "alarms"):  # fmt: skip
        assert f" {name} " in shown.stdout


def test_a_first_config_is_valid_and_asks_before_everything(tmp_path):
    made = toolcrib("init", "site.yaml", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    checked = toolcrib("check", "site.yaml", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "site.yaml: no mistakes\n")
    assert checked.stderr == ""
    assert "default: ask" in (tmp_path / "site.policy.yaml").read_text()


def test_nothing_is_written_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text("mine")
    assert main(["init", "toolcrib.yaml"]) == 1
    assert capsys.readouterr().err == "policy.yaml exists; nothing was written\n"
    assert not Path("toolcrib.yaml").exists()
    assert Path("policy.yaml").read_text() == "mine"


def test_every_mistake_is_a_line_that_an_editor_can_follow(site, capsys):
    site.write_text(site.read_text().replace("EUR\n", "EUX\n", 1).replace("by_hand", "by_hnad"))
    assert main(["check", "toolcrib.yaml"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["site.currency", "suppliers.corner-shop.adapter"]
    assert all(line.startswith(f"{site}:") for line in lines)


def test_a_policy_for_a_machine_that_does_not_exist_is_a_mistake(site, capsys):
    policy = site.with_name("policy.yaml")
    policy.write_text(policy.read_text().replace("# mill/spindle-bearing: buy", "mill/spindle-baering: buy"))
    assert main(["check", "toolcrib.yaml", "--json"]) == 2
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert (mistake["file"], mistake["path"]) == (str(policy), "modes.mill/spindle-baering")
    assert "did you mean 'mill/spindle-bearing'?" in mistake["message"]


def test_the_schema_is_json(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["site"]


@pytest.mark.parametrize(
    "words", [["orders"], ["needs"], ["learning"], ["audit", "verify"], ["why", NUMBER], ["policy", "show"]]
)
def test_without_data_a_look_says_so_in_one_sentence(site, capsys, words):
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "there is no data in" in said.err
    assert len(said.err.splitlines()) == 1


def test_without_a_config_a_look_says_where_one_is_sought(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOOLCRIB_CONFIG", raising=False)
    assert main(["orders"]) == 2
    assert "name one with --config" in capsys.readouterr().err


def test_the_config_is_named_by_option_or_environment_or_found_in_the_demo(worked, tmp_path, monkeypatch, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["orders", "--config", str(worked), "--json"]) == 0
    monkeypatch.setenv("TOOLCRIB_CONFIG", str(worked))
    assert main(["orders", "--json"]) == 0
    monkeypatch.delenv("TOOLCRIB_CONFIG")
    (elsewhere / "data").mkdir()
    (elsewhere / "data" / "demo").symlink_to(worked.parent)
    assert main(["orders", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[1] == lines[2]


def test_orders_for_programs_are_exact(worked, capsys):
    assert main(["orders", "--json"]) == 0
    (order,) = json.loads(capsys.readouterr().out)
    assert (order["number"], order["total"], order["currency"]) == (NUMBER, "760.00", "EUR")
    assert order["lines"][0]["unit_price"] == "380.00"


async def test_what_lives_have_taught_is_a_table_for_people_and_exact_for_programs(worked, capsys):
    loaded, kind = config.load(worked), Kind(Wearing.USAGE, "bearing-7014")
    taught = Standing(
        Phase.ADAPTABLE, code="CONVINCED", model="lifetimes", version="ab" * 32, lives=5, judged=4, gain=8.2, error=2.1,
        currency="EUR",
    )  # fmt: skip
    async with open_databases(loaded.directory) as databases, databases.spend.write() as tx:
        await keep(tx, loaded.owner, kind, Standing(), taught, NOW)
    assert await asyncio.to_thread(main, ["learning", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["phase"], told["lives"], told["gain"]) == ("bearing-7014", "adaptable", 5, 8.2)
    assert await asyncio.to_thread(main, ["learning"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "8.20 ± 2.10 EUR" in shown
    assert "Over 4 lives it would have saved 8.20 EUR a life" in shown


@pytest.mark.parametrize("words", [["orders"], ["approvals"], ["orders", "--state", "awaiting_approval"]])
def test_orders_for_people_are_a_table(worked, capsys, words):
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert NUMBER in shown
    assert "corner-shop" in shown


def test_a_state_that_does_not_exist_is_a_mistake(worked, capsys):
    assert main(["orders", "--state", "lost"]) == 2
    assert "'toolcrib states' lists them" in capsys.readouterr().err


def test_a_look_changes_nothing(worked):
    directory = worked.parent / "data"
    before = {path.name: path.read_bytes() for path in directory.glob("*.db")}
    for words in (["orders"], ["needs"], ["audit", "verify"], ["audit", "show"], ["policy", "show"]):
        assert main(words) == 0
    assert {path.name: path.read_bytes() for path in directory.glob("*.db")} == before


def test_the_log_is_verified_and_shown(worked, capsys):
    assert main(["audit", "verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["entries"], found["verified"]) == (1, True)
    assert main(["audit", "show", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["kind"], entry["actor"]["kind"]) == ("order.proposed", "gateway")


@pytest.fixture
async def worn(worked: Path) -> Path:
    """The same, and the mill's bearing has a need."""
    loaded = config.load(worked)
    part = JobLine("bearing", "bearing-7014", Decimal(2), "C62", JobKind.PART)
    visit = JobLine("visit", "alignment", Decimal(1), "C62", JobKind.SERVICE)
    belief = Belief.of([0, 100], [1, 0], unit="h", use_per_hour=1.0, as_of=NOW, provenance=Provenance.A, known=True)
    evidence = (Evidence("USAGE", {"used": "10", "rated": "20", "unit": "h"}),)
    need = Need(
        "mill", "mill/spindle-bearing", "life-1", 1, "Replace it", (part, visit), belief, 0.4, evidence, NOW,
        timedelta(hours=6), ("bearing heater",), ("alignment",),
    )  # fmt: skip
    picture = Picture("mill/spindle-bearing", "h", None, (), ())
    async with open_databases(loaded.directory) as databases:
        async with databases.telemetry.write() as tx:
            await save_needs(tx, [(need, picture)])
        async with databases.spend.write() as tx:
            clerk = Actor(ActorKind.PERSON, "anna", "socket")
            await stock.count(tx, loaded.owner, "bearing-7014", Decimal(1), "C62", clerk, NOW)
    return worked


def test_of_one_component_its_job_is_told_line_by_line(worn, capsys):
    assert main(["needs", "mill/spindle-bearing"]) == 0
    said = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert said[1:] == [
        "It takes 6 h.",
        "Tools: bearing heater",
        "Skills: alignment",
        "- bearing-7014: 2 wanted, 1 on the shelf, 1 to be bought",
        "- alignment: 1 wanted, 1 to be bought",
        "It has run 10 of 20 h.",
    ]
    assert main(["needs", "mill/spindle-bearing", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["duration_hours"], told["tools"], told["skills"]) == (6, ["bearing heater"], ["alignment"])
    assert [(line["on_shelf"], line["missing"]) for line in told["lines"]] == [("1", "1"), ("0", "1")]


def test_what_may_be_said_of_a_component_is_listed(worn, capsys):
    config = Path("toolcrib.yaml")
    rows = (
        "symptoms:\n  - {component: '*', said: seized, failure: true}\n  - {component: '*', said: hot, failure: true}\n"
    )
    config.write_text(f"{config.read_text()}\n{rows}")
    assert main(["symptom", "mill/spindle-bearing"]) == 0
    assert capsys.readouterr().out == "seized\nhot\n"
    assert main(["symptom", "mill/spindel", "--json"]) == 2
    assert "the config has: mill/spindle-bearing" in capsys.readouterr().err
    assert main(["symptom", "mill/spindle-bearing", "seized"]) == 1
    assert "is not running" in capsys.readouterr().err


def test_a_component_that_nobody_knows_is_one_sentence(worn, capsys):
    assert main(["needs", "mill/spindel"]) == 1
    assert capsys.readouterr().err == ("nothing is known of mill/spindel yet; the config has: mill/spindle-bearing\n")


def test_why_of_an_order_that_does_not_exist_is_one_sentence(worked, capsys):
    assert main(["why", "G1-9999-9"]) == 1
    assert capsys.readouterr().err == "There is no order G1-9999-9.\n"


def test_why_of_a_component_is_its_reasons_its_belief_and_what_would_change_the_advice(worn, capsys):
    assert main(["why", "mill/spindle-bearing"]) == 0
    said = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert said[0] == "It has run 10 of 20 h. (60 % of the way to worn out)"
    assert "What would change the advice:" in said
    assert any(line.startswith("It fails with 10 % by ") for line in said)
    assert main(["why", "mill/spindle-bearing", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"component", "why", "fails", "decide_by", "arrives", "changes"}
    assert main(["why", "mill/spindel"]) == 1
    assert "nothing is known of mill/spindel yet" in capsys.readouterr().err


def test_the_tables_of_states_can_be_printed(capsys):
    assert main(["states", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"document": "order", "before": "proposed", "after": "approved", "effect": "reserve"} in rows
    assert main(["states"]) == 0
    assert "awaiting_approval" in capsys.readouterr().out
    assert main(["states", "--mermaid"]) == 0
    assert "    proposed --> approved: reserve\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["stock", "bearing-7014", "3"], ["approve", NUMBER], ["sign-in"], ["status"], ["reading", "mill/bearing", "1 h"]],
)
def test_without_a_running_gateway_nothing_is_changed(worked, capsys, words):
    assert main(words) == 1
    assert "is not running: start it with 'toolcrib run FILE'" in capsys.readouterr().err


async def test_an_approval_is_of_exactly_the_order_that_stands_there(worked, capsys):
    clerk = Clerk()
    assert await do("orders", "--json") == 0
    (stands,) = json.loads(capsys.readouterr().out)
    async with running(worked, clerk):
        assert await do("approve", NUMBER, "--note", "seen") == 0
    (person,) = config.load(worked).people
    assert clerk.acts == [("approve", (NUMBER, stands["order_hash"], person, "seen", "socket"))]
    assert capsys.readouterr().out == "It is done.\n"


async def test_what_was_set_apart_is_released_by_its_number(worked, capsys):
    clerk = Clerk()
    async with running(worked, clerk):
        assert await do("release", NUMBER) == 0
    (person,) = config.load(worked).people
    assert clerk.acts == [("release", (NUMBER, person, "socket"))]


async def test_a_refusal_is_exit_code_1_and_its_code_is_for_programs(worked, capsys):
    clerk = Clerk()
    clerk.outcome = Outcome(False, "OWN_LIMIT_EXCEEDED", "It is above your limit.")
    async with running(worked, clerk):
        assert await do("deny", NUMBER, "--reason", "too dear") == 1
        assert capsys.readouterr().err == "It is above your limit.\n"
        assert await do("deny", NUMBER, "--json") == 1
    assert json.loads(capsys.readouterr().out) == clerk.outcome.as_dict()


async def test_people_enter_what_they_did_and_heard(worked, tmp_path):
    (tmp_path / "prices.csv").write_text("item;price\n")
    clerk = Clerk()
    (person,) = config.load(worked).people
    async with running(worked, clerk):
        for words in (
            ["reading", "mill/spindle-bearing", "1200 h", "--clock", "running"],
            ["fitted", "mill/spindle-bearing", "--serial", "S7", "--new", "--found", "worn"],
            ["stock", "bearing-7014", "3"],
            ["received", NUMBER, "--line", "1=2"],
            ["prices", "corner-shop", "prices.csv"],
            ["answer", NUMBER, "--price", "755.00 EUR", "--promised", "2026-03-09", "--reference", "H-1"],
            ["cancel", NUMBER],
        ):
            assert await do(*words) == 0, words
    acts = dict(clerk.acts)
    assert acts["reading"] == ("mill/spindle-bearing", "1200 h", person, "socket", "running")
    assert acts["fitted"] == ("mill/spindle-bearing", "S7", "0 h", "", person, "socket", "worn")
    assert acts["received"] == (NUMBER, {1: Decimal(2)}, person, "socket")
    assert acts["prices"] == ("corner-shop", "item;price\n", person, "socket")
    answer = acts["answered"][1]
    assert answer.total == Money(75500, "EUR")
    assert answer.promised_at == datetime(2026, 3, 9, 22, 59, tzinfo=UTC)  # the end of that day in Berlin


@pytest.mark.parametrize(
    "words",
    [
        ["received", NUMBER, "--line", "two"],
        ["answer", NUMBER, "--promised", "soon"],
        ["fitted", "mill/x", "--new", "--used", "3 h"],
        ["prices", "corner-shop", "nowhere.csv"],
        ["stock"],
        ["nonsense"],
    ],
)
def test_a_mistake_in_the_command_is_exit_code_2(worked, capsys, words):
    assert main(words) == 2
    assert capsys.readouterr().err


async def test_a_policy_is_put_into_force_as_it_is_written(worked):
    clerk = Clerk()
    async with running(worked, clerk):
        assert await do("policy", "apply", "policy.yaml") == 0
    assert clerk.acts[0][1][0] == Path("policy.yaml").read_text()


async def test_a_policy_with_a_mistake_is_never_sent(worked, capsys):
    policy = worked.with_name("policy.yaml")
    policy.write_text(policy.read_text().replace("per_order: 500 EUR", "per_order: 500"))
    clerk = Clerk()
    async with running(worked, clerk):
        assert await do("policy", "apply", "policy.yaml") == 2
    assert clerk.acts == []
    assert "policy.yaml:" in capsys.readouterr().err


def test_a_policy_that_nobody_applied_is_shown_as_such(worked, capsys):
    assert main(["policy", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["applied"] is None
    assert shown["not_applied"]["mandate.per_order"] == ["", '"500.00 EUR"']
    assert main(["policy", "show"]) == 0
    assert "no policy is in force" in capsys.readouterr().out


async def test_a_sign_in_link_is_printed_and_the_status_told(worked, capsys):
    async with running(worked, Clerk()):
        assert await do("sign-in") == 0
        assert "/sign-in/for-" in capsys.readouterr().out
        assert await do("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ready"] is True


def test_a_suppliers_words_cannot_draw_on_the_terminal():
    from gateway.commands.output import printable

    assert printable("\x1b[31mred\x07\u202e") == " [31mred  "


@pytest.mark.parametrize("what", ["factory", "market"])
def test_a_simulator_says_where_it_is_and_ends_cleanly(tmp_path, what):
    ports = ["--opcua-port", "0", "--modbus-port", "0"] if what == "factory" else []
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "simulate", what, "--json", "--state", str(tmp_path), *ports],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _out, error = process.communicate(timeout=20)
    assert process.returncode == 0, error
    assert error == ""
    assert "127.0.0.1" in json.dumps(said)


def test_a_simulator_on_a_taken_port_says_so_in_one_sentence(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ["simulate", "factory", "--state", str(tmp_path), "--opcua-port", port, "--modbus-port", "0"]
        failed = toolcrib(*words)
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert port in failed.stderr


def test_a_clock_is_handed_on_as_one_argument():
    from gateway.clock import PlantClock
    from gateway.commands.output import Failure
    from gateway.commands.simulating import clock_of

    clock = PlantClock(NOW, 1000.0, 3600.0)
    assert clock_of(clock.to_text(), 1.0) == clock
    with pytest.raises(Failure, match="is no clock"):
        clock_of("yesterday", 1.0)


def test_the_person_of_a_first_config_is_who_wrote_it(site):
    assert config.load(site).persons_of(getpass.getuser())


async def test_buying_is_stopped_and_goes_on_by_command(worked, capsys):
    clerk = Clerk()
    (person,) = config.load(worked).people
    async with running(worked, clerk):
        assert await do("stop") == 0
        assert await do("stop", "machine", "mill", "--reason", "smoke") == 0
        assert await do("resume", "supplier", "corner-shop") == 0
        assert await do("alarms", "ack", "a" * 32, "--note", "seen") == 0
        assert await do("alarms", "shelve", "b" * 32, "--for", "8 h", "--reason", "part ordered") == 0
        assert await do("alarms", "unshelve", "b" * 32) == 0
    assert clerk.acts == [
        ("stop", ("plant", "", "", person, "socket")),
        ("stop", ("machine", "mill", "smoke", person, "socket")),
        ("resume", ("supplier", "corner-shop", "", person, "socket")),
        ("acknowledge", ("a" * 32, "seen", person, "socket")),
        ("shelve", ("b" * 32, "8 h", "part ordered", person, "socket")),
        ("unshelve", ("b" * 32, person, "socket")),
    ]
    assert not (worked.parent / "data" / "STOP").exists()


@pytest.mark.parametrize(
    "words", [["stop", "hall"], ["stop", "machine"], ["stop", "plant", "mill"], ["resume", "mill"]]
)
def test_a_scope_that_is_none_is_a_mistake_and_stops_nothing(worked, capsys, words):
    assert main(words) == 2
    assert "such as 'machine mill'" in capsys.readouterr().err
    assert not (worked.parent / "data" / "STOP").exists()


def test_without_a_gateway_the_file_stops(worked, capsys):
    assert main(["stop", "component", "mill/spindle-bearing"]) == 0
    assert "counts before anything is sent at the next start" in capsys.readouterr().out
    assert main(["stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "STOP_WRITTEN"
    file = worked.parent / "data" / "STOP"
    assert file.read_text() == "component mill/spindle-bearing\nplant\n"
    assert main(["stops"]) == 0
    assert capsys.readouterr().out == f"nothing is stopped\nthe file {file} is there\n"


def test_a_stop_that_nobody_takes_says_so(site, capsys):
    (site.parent / "data").write_text("in the way")
    assert main(["stop"]) == 1
    assert "nothing was stopped" in capsys.readouterr().err


def test_nothing_goes_on_without_a_running_gateway(worked, capsys):
    for words in (["resume"], ["alarms", "ack", "a" * 32]):
        assert main(words) == 1
        assert "is not running" in capsys.readouterr().err


async def test_a_gateway_that_hangs_up_is_stopped_by_the_file(worked):
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    directory = config.load(worked).directory
    server = await asyncio.start_unix_server(hang_up, str(directory / "control.sock"))
    assert await do("stop", "machine", "mill") == 0
    server.close()
    assert (directory / "STOP").read_text() == "machine mill\n"


async def test_stops_and_alarms_are_listed_for_people_and_for_programs(worked, capsys):
    loaded = config.load(worked)
    actor, mill = Actor(ActorKind.PERSON, "anna", "web"), Scope(ScopeKind.MACHINE, "mill")
    async with open_databases(loaded.directory) as databases, databases.spend.write() as tx:
        await halts.put(tx, loaded.owner, mill, BY_PERSON, actor, NOW, note="smoke")
        code, figures = AlarmCode.CLOCK_WRONG, {"jump": "3600 s"}
        for subject in ("1", "2"):
            alarm = await alarms.raise_alarm(tx, loaded.owner, code, PLANT, subject, NOW, parameters=figures)
        [first, _second] = await alarms.open_alarms(tx, loaded.owner)
        stop, _new = await halts.put(tx, loaded.owner, PLANT, BY_ALARM, actor, NOW, alarm=alarm)
        await alarms.escalated(tx, loaded.owner, first, stop, NOW)
    assert await do("stops") == 0
    shown = capsys.readouterr().out
    assert "A person stopped it." in shown
    assert "smoke" in shown
    assert await do("stops", "--json") == 0
    [one, other] = json.loads(capsys.readouterr().out)
    assert {each["scope"]: (each["key"], each["by"], each["method"]) for each in (one, other)} == {
        "machine": ("mill", "anna", "web"), "plant": ("", "anna", "web"),
    }  # fmt: skip
    assert await do("alarms") == 0
    shown = capsys.readouterr().out
    assert "The clock jumped by 3600 s" in shown
    assert "the whole plant" in shown
    assert await do("alarms", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(each["halted"] for each in found) == [False, True]
    assert found[0]["acknowledge_by"] == "2026-03-02T16:00:00.000000Z"


async def test_alarms_about_machines_are_listed_with_what_to_do(worked, capsys):
    loaded, book = config.load(worked), Book(Rules())
    assert await do("alarms") == 0
    assert capsys.readouterr().out == "no alarm is open\n"
    figures = {"component": "mill/spindle-bearing", "value": "12 %", "limit": "20 %"}
    seal = Finding(AlarmKind.HEALTH_LOW, "seal", "mill", True, parameters=figures, out_of_service=True)
    book.observe([Finding(AlarmKind.HEALTH_LOW, "bearing", "mill", True, parameters=figures), seal], NOW)
    book.put(shelved(book.alarms["health_low|bearing"], "anna", "part ordered", NOW + timedelta(hours=8), NOW))
    async with open_databases(loaded.directory) as databases, databases.telemetry.write() as tx:
        await kept_alarms.save(tx, book.changes())
    assert await do("alarms") == 0
    shown = capsys.readouterr().out
    assert "has 12 % of its health left" in shown
    assert "Plan the job that renews it" in shown
    assert "shelved until 2026-03-02" in shown
    assert await do("alarms", "--json") == 0
    told = {each["subject"]: each for each in json.loads(capsys.readouterr().out)}
    assert told["bearing"]["shelved_because"] == "part ordered"
    assert (told["seal"]["state"], told["seal"]["suppressed_by"]) == ("suppressed", "out_of_service")


def test_the_table_and_the_kinds_of_alarms_are_printed(capsys):
    assert main(["alarms", "states"]) == 0
    assert "latched_unacknowledged" in capsys.readouterr().out
    assert main(["alarms", "states", "--mermaid"]) == 0
    assert "unacknowledged --> acknowledged: acknowledge" in capsys.readouterr().out
    assert main(["alarms", "states", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == sum(len(edges) for edges in EDGES.values())
    assert main(["alarms", "kinds"]) == 0
    assert "goes on trying" in capsys.readouterr().out
    assert main(["alarms", "kinds", "--json"]) == 0
    told = {each["kind"]: each for each in json.loads(capsys.readouterr().out)}
    assert set(told) == set(AlarmKind)
    assert told["health_low"]["limit"] == 0.2


def test_a_backup_is_made_looked_over_and_put_back(worked: Path, tmp_path: Path):
    made = toolcrib("backup", "b.zip", "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["audit"]["size"] > 0
    looked = toolcrib("backup", "verify", "b.zip", cwd=tmp_path)
    assert looked.returncode == 0, looked.stderr
    assert "verifies" in looked.stdout
    back = toolcrib("restore", "b.zip", "--to", "elsewhere", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert "buys nothing until you confirm" in back.stdout
    again = toolcrib("restore", "b.zip", "--to", "elsewhere", cwd=tmp_path)
    assert again.returncode == 1
    assert "nothing was restored over it" in again.stderr


@pytest.mark.long
def test_a_damaged_backup_exits_with_one(worked: Path, tmp_path: Path):
    assert toolcrib("backup", "b.zip", cwd=tmp_path).returncode == 0
    whole = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[: len(whole) // 2])
    looked = toolcrib("backup", "verify", "b.zip", cwd=tmp_path)
    assert looked.returncode == 1
    assert "no backup of Toolcrib" in looked.stderr


@pytest.mark.parametrize("words", [("backup", "save", "b.zip"), ("backup", "b.zip", "--with-key", "gone.txt")])
def test_a_backup_command_that_cannot_be_meant_is_refused(worked: Path, tmp_path: Path, words: tuple[str, ...]):
    done = toolcrib(*words, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert not (tmp_path / "b.zip").exists()


def test_restored_needs_a_running_gateway(worked: Path, tmp_path: Path):
    done = toolcrib("restored", cwd=tmp_path)
    assert done.returncode == 1
    assert "gateway" in done.stderr


def test_a_new_epoch_is_begun_only_with_a_confirmation(worked: Path, tmp_path: Path):
    done = toolcrib("restored", "--new-epoch", cwd=tmp_path)
    assert done.returncode == 2
    assert "--confirm" in done.stderr
