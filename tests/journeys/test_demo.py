"""The main job, as a newcomer sees it: the whole demo as processes, until parts were bought, received and fitted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(280)

TOOLCRIB = Path(sys.executable).with_name("toolcrib")


def demo(directory: Path, *arguments: str) -> dict:
    command = [TOOLCRIB, "demo", "--headless", "--json", "--port", "0", "--directory", str(directory), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
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

    second = demo(tmp_path, "--until", "received")
    numbers = [order["number"] for order in second["orders"]]
    assert {order["number"] for order in first["orders"]} <= set(numbers)
    assert len(numbers) == len(set(numbers))
    assert second["audit"]["verified"] is True
    assert second["samples"] > first["samples"]
    assert second["audit"]["entries"] >= first["audit"]["entries"]
