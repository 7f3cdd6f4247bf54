from __future__ import annotations

import json

from gateway.commands.application import run


def test_eight_callers_race_for_the_last_room_and_none_is_over(capsys):
    assert run(["benchmark", "ledger", "--orders", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert {"reservations_per_second", "p99_ms", "overspent"} <= found.keys()
    assert found["overspent"] == 0
    assert (found["reserved"], found["refused"]) == (70, 30), "a tenth of all that ask find no room"
