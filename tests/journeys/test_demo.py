"""The main job, as a newcomer sees it: the whole demo as processes, until parts were bought, received and fitted."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway import control_client

pytestmark = pytest.mark.timeout(280)

TOOLCRIB = Path(sys.executable).with_name("toolcrib")


def command(directory: Path, *words: str) -> list[str]:
    return [str(TOOLCRIB), "demo", "--headless", "--json", "--port", "0", "--directory", str(directory), *words]


def demo(directory: Path, *words: str) -> dict:
    done = subprocess.run(command(directory, *words), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_machine_buys_its_own_part_and_goes_on_from_the_same_data(tmp_path: Path):
    first = demo(tmp_path, "--until", "received")
    assert first["seconds"] < 120
    assert first["samples"] > 0
    assert first["needs"] == 10
    assert first["received"] >= 2
    assert first["audit"]["verified"] is True
    by_policy = [order for order in first["orders"] if order["authority"] == "policy"]
    by_person = [order for order in first["orders"] if order["authority"] == "person"]
    assert by_policy
    assert by_person
    assert {order["provenance"] for order in by_policy} == {"A"}
    assert any(order["provenance"] == "B" for order in by_person)
    for order in first["orders"]:
        assert float(order["total"]) > 0
        assert order["currency"] == "EUR"
        assert order["lines"]
        assert {"component", "item", "quantity", "unit", "unit_price"} <= order["lines"][0].keys()
    assert all(float(order["total"]) <= 500 for order in by_policy)

    second = until_ctrl_c(tmp_path)
    numbers = [order["number"] for order in second["orders"]]
    assert {order["number"] for order in first["orders"]} <= set(numbers)
    assert len(numbers) == len(set(numbers))
    assert second["samples"] > first["samples"]
    assert second["audit"]["entries"] >= first["audit"]["entries"]
    assert second["audit"]["verified"] is True
    expect_an_auditor_to_agree(tmp_path)


def expect_an_auditor_to_agree(directory: Path) -> None:
    """Our verification, the standalone file and the replay of every decision say the same of the demo's data."""

    def said(*words: str | Path) -> str:
        done = subprocess.run([str(word) for word in words], cwd=directory, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    verified = json.loads(said(TOOLCRIB, "audit", "verify", "--json").splitlines()[-1])
    assert verified["verified"] is True
    file = directory / "verify.py"
    file.write_text(said(TOOLCRIB, "audit", "verifier"))
    assert said(sys.executable, "-I", file, directory / "spend.db") == "verified\n"
    replayed = json.loads(said(TOOLCRIB, "audit", "replay", "--json").splitlines()[-1])
    assert replayed["decisions"] == replayed["identical"] > 0


def until_ctrl_c(directory: Path) -> dict:
    """Let a demo go on from the same data until its machines deliver, end it with Ctrl-C; nothing stays."""
    with subprocess.Popen(command(directory), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        control_client.wait_ready(directory, 60)
        deadline = time.monotonic() + 60
        while not control_client.status(directory)["samples"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    with pytest.raises(control_client.NotRunning):
        control_client.status(directory)
    assert not (directory / "factory" / "control.json").exists()
    return json.loads(said.splitlines()[-1])
