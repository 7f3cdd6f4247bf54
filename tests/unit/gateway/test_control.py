import asyncio
import getpass
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway import control, control_client
from gateway.actions import HandReply, Outcome
from gateway.control import ControlUnavailable, Door, serve
from gateway.control_client import ADDRESS_MAX, Interrupted, NotRunning, Refused
from marketplace.money import Money

HASH = "a" * 64
DONE = Outcome(True, "DONE", "It is done.")


class Recorder:
    """Keeps `gateway.actions.Actions`' promise by remembering what was asked."""

    def __init__(self) -> None:
        self.acts: list[tuple[str, tuple[Any, ...]]] = []
        self.outcome = DONE

    def __getattr__(self, name: str) -> Any:
        async def act(*arguments: Any, **named: Any) -> Outcome:
            self.acts.append((name, (*arguments, *(each for each in named.values() if each))))
            return self.outcome

        return act


@pytest.fixture
def actions() -> Recorder:
    return Recorder()


@pytest.fixture
def people() -> list[str]:
    return ["anna"]


@pytest.fixture
async def directory(tmp_path: Path, actions: Recorder, people: list[str]) -> AsyncIterator[Path]:
    async def links(person: str) -> str:
        return f"http://127.0.0.1:8080/sign-in/{person}-secret"

    def persons_of(user: str) -> list[str]:
        return people if user == getpass.getuser() else []

    async with serve(Door(actions, persons_of, links, lambda: {"ready": True}), tmp_path):
        yield tmp_path


async def act(directory: Path, name: str, person: str | None = None, **body: Any) -> dict[str, Any]:
    return await asyncio.to_thread(control_client.act, directory, name, body, person)


async def test_the_socket_is_open_to_its_owner_alone(directory):
    mode = (directory / "control.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_an_approval_reaches_the_gateway_as_the_person_behind_the_user(directory, actions):
    outcome = await act(directory, "approve", number="G1-0001-7", order_hash=HASH, note="fine")
    assert outcome == DONE.as_dict()
    assert actions.acts == [("approve", ("G1-0001-7", HASH, "anna", "fine", "socket"))]


async def test_every_act_of_people_has_an_address(directory, actions):
    await act(directory, "deny", number="G1-1", order_hash=HASH)
    await act(directory, "cancel", number="G1-1")
    await act(directory, "received", number="G1-1", quantities={"1": "2.5"})
    await act(directory, "reading", component="mill/bearing", value="12 h")
    await act(directory, "fitted", component="mill/bearing", serial="S1", used="0 h")
    await act(directory, "stock", item="bearing", quantity="3")
    await act(directory, "prices", supplier="huber", text="item;price\n")
    await act(directory, "policy", text="schema: 1\n")
    await act(directory, "stop", scope="machine", key="mill", reason="smoke")
    await act(directory, "resume", scope="plant")
    await act(directory, "acknowledge", alarm="a" * 32, note="seen")
    await act(directory, "clock")
    await act(directory, "shelve", alarm="b" * 32, span="8 h", reason="part ordered")
    await act(directory, "unshelve", alarm="b" * 32)
    await act(directory, "reload")
    await act(directory, "symptom", component="mill/bearing", said="squeals")
    await act(directory, "symptom-over", component="mill/bearing", said="squeals")
    answer = {"number": "G1-1", "reply": "confirmed", "total": "12.50 EUR", "promised_at": "2026-03-09T22:59:00+00:00"}
    await act(directory, "answer", **answer)
    for subject in ("G1-1", "0f" * 16):
        await act(directory, "release", subject=subject)
    names = [name for name, _arguments in actions.acts]
    acts = [
        "deny", "cancel", "received", "reading", "fitted", "stock", "prices", "policy_apply", "stop", "resume",
        "acknowledge", "clock_accept", "shelve", "unshelve", "reload",
        "symptom", "symptom_over", "answered",
    ]  # fmt: skip
    assert names == [*acts, "release", "release"]
    assert actions.acts[8][1] == ("machine", "mill", "smoke", "anna", "socket")
    assert actions.acts[10][1] == ("a" * 32, "seen", "anna", "socket")
    assert actions.acts[12][1] == ("b" * 32, "8 h", "part ordered", "anna", "socket")
    assert actions.acts[13][1] == ("b" * 32, "anna", "socket")
    assert [arguments for name, arguments in actions.acts if name == "release"] == [
        ("G1-1", "anna", "socket"),
        ("0f" * 16, "anna", "socket"),
    ]
    del actions.acts[-2:]
    assert actions.acts[2][1] == ("G1-1", {1: Decimal("2.5")}, "anna", "socket")
    said = actions.acts[-1][1][1]
    assert (said.reply, said.total) == (HandReply.CONFIRMED, Money(1250, "EUR"))
    assert said.promised_at == datetime(2026, 3, 9, 22, 59, tzinfo=UTC)


async def test_a_refusal_is_told_with_its_code(directory, actions):
    actions.outcome = Outcome(False, "OWN_LIMIT_EXCEEDED", "It is above your limit.")
    with pytest.raises(Refused, match="above your limit") as caught:
        await act(directory, "approve", number="G1-1", order_hash=HASH)
    assert caught.value.code == "OWN_LIMIT_EXCEEDED"


async def test_a_user_who_is_nobody_is_refused_and_nothing_is_done(directory, actions, people):
    people.clear()
    for do in (lambda: control_client.act(directory, "stock", {}), lambda: control_client.sign_in(directory)):
        with pytest.raises(Refused, match="is not that person of the config") as caught:
            await asyncio.to_thread(do)
        assert caught.value.code == "NOBODY"
    assert actions.acts == []


async def test_a_user_who_stands_for_two_says_which_and_no_other(directory, actions, people):
    people.append("tom")
    await act(directory, "stock", person="tom", item="x", quantity="1")
    assert actions.acts == [("stock", ("x", "1", "tom", "socket"))]
    with pytest.raises(Refused):
        await act(directory, "stock", person="eve", item="x", quantity="1")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("approve", {"number": "G1-1"}),
        ("approve", {"number": "g1; rm", "order_hash": HASH}),
        ("approve", {"number": "G1-1", "order_hash": HASH, "limit": "1"}),
        ("answer", {"number": "G1-1", "reply": "maybe"}),
        ("answer", {"number": "G1-1", "reply": "confirmed", "total": "12,50"}),
        ("answer", {"number": "G1-1", "reply": "confirmed", "promised_at": "2026-03-09"}),
        ("received", {"number": "G1-1", "quantities": {"one": 1}}),
        ("reading", {"component": "mill/bearing", "value": ""}),
        ("steal", {}),
    ],
)
async def test_a_body_that_is_not_what_the_act_wants_does_nothing(directory, actions, name, body):
    with pytest.raises(Refused):
        await act(directory, name, **body)
    assert actions.acts == []


async def test_a_sign_in_link_is_for_the_person_who_asks(directory):
    found = await asyncio.to_thread(control_client.sign_in, directory)
    assert (found["person"], found["link"]) == ("anna", "http://127.0.0.1:8080/sign-in/anna-secret")


async def test_anybody_at_the_socket_may_ask_how_the_gateway_is(directory, people):
    people.clear()
    assert await asyncio.to_thread(control_client.wait_ready, directory, 5.0) == {"ready": True}


async def test_nothing_remains_when_the_gateway_ends(tmp_path, actions):
    async with serve(Door(actions, lambda user: [], lambda person: asyncio.sleep(0, ""), dict), tmp_path) as path:
        assert path.exists()
    assert not path.exists()
    with pytest.raises(NotRunning, match="start it with 'toolcrib run FILE'"):
        control_client.status(tmp_path)
    with pytest.raises(TimeoutError):
        control_client.wait_ready(tmp_path, 0.05)


async def test_the_socket_of_a_killed_gateway_is_taken_over(tmp_path, actions):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    async with serve(Door(actions, lambda user: [], lambda person: asyncio.sleep(0, ""), lambda: {"a": 1}), tmp_path):
        assert await asyncio.to_thread(control_client.status, tmp_path) == {"a": 1}


async def test_the_socket_of_a_living_gateway_is_left_alone(directory, actions):
    with pytest.raises(ControlUnavailable, match="another gateway is running"):
        async with serve(Door(actions, lambda user: [], lambda person: asyncio.sleep(0, ""), dict), directory):
            pass
    assert await asyncio.to_thread(control_client.status, directory) == {"ready": True}


async def test_a_file_in_the_way_is_named_and_kept(tmp_path, actions):
    (tmp_path / "control.sock").write_text("mine")
    with pytest.raises(ControlUnavailable, match="in the way"):
        async with serve(Door(actions, lambda user: [], lambda person: asyncio.sleep(0, ""), dict), tmp_path):
            pass
    assert (tmp_path / "control.sock").read_text() == "mine"


async def test_a_path_that_is_too_long_for_an_address_works_all_the_same(tmp_path, actions):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    assert len(os.fsencode(deep)) > ADDRESS_MAX
    async with serve(
        Door(actions, lambda user: [], lambda person: asyncio.sleep(0, ""), lambda: {"a": 1}), deep
    ) as path:
        assert path.parent == deep
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await asyncio.to_thread(control_client.status, deep) == {"a": 1}
    assert not path.exists()


async def test_a_gateway_that_goes_away_while_it_answers_leaves_the_outcome_open(tmp_path):
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(hang_up, str(tmp_path / "control.sock"))
    with pytest.raises(Interrupted, match="look at the state"):
        await asyncio.to_thread(control_client.act, tmp_path, "stock", {})
    server.close()


def test_every_act_that_changes_anything_is_there():
    assert set(control.ACTS) == {
        "approve", "deny", "cancel", "release", "answer", "received", "reading", "fitted", "stock", "policy", "prices",
        "stop", "resume", "acknowledge", "clock", "reload", "rotate-audit-key", "confirm-restore", "trust",
        "shelve", "unshelve", "symptom", "symptom-over",
    }  # fmt: skip
    assert all(json.dumps(each.body.model_json_schema()) for each in control.ACTS.values())
