from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from gateway.live import Board, Link
from gateway.metrics import Counted, exposition
from gateway.schedule import Schedule


def test_what_counts_in_the_gateway_is_told_to_prometheus():
    board = Board()
    now = datetime(2026, 3, 2, tzinfo=UTC)
    board.notify(Link("hall-2", True, now, "", (("mill/gone", "no such node"),)))
    board.notify(Link("plc", False, now, "no answer"))
    schedule = Schedule()

    async def nothing() -> None: ...

    schedule.every(timedelta(hours=1), "decide", nothing)
    counted = Counted(SimpleNamespace(samples=7), SimpleNamespace(lost=2, depth=3), board, schedule)
    body, content_type = exposition(counted)
    lines = body.decode().splitlines()
    assert "toolcrib_samples_total 7.0" in lines
    assert "toolcrib_samples_lost_total 2.0" in lines
    assert "toolcrib_backlog_samples 3.0" in lines
    assert 'toolcrib_connection_up{connection="hall-2"} 1.0' in lines
    assert 'toolcrib_connection_up{connection="plc"} 0.0' in lines
    assert 'toolcrib_tag_faults{connection="hall-2"} 1.0' in lines
    assert 'toolcrib_act_failures_total{act="decide"} 0.0' in lines
    assert content_type.startswith("text/plain")
