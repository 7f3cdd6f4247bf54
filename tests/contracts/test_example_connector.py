"""The example of the connectors' guide keeps the promise of a connector, as anybody's would."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from connectors.connector import Connector
from connectors.contract import ABSENT, PRESENT, ConnectorContract
from connectors.samples import Provenance

EXAMPLE = Path(__file__).parents[2] / "docs" / "connectors" / "csv_tail.py"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("csv_tail", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["csv_tail"] = module
    spec.loader.exec_module(module)
    return module


class Bench:
    provenance = Provenance.B

    def __init__(self, file: Path) -> None:
        self.file = file
        self.module = example()
        self.frozen = False
        file.touch()

    def connector(self) -> Connector:
        settings = self.module.CsvSettings.model_validate(
            {"file": str(self.file), "sampling": "10 ms", "silence": "1 s"}
        )
        tags = {
            PRESENT: self.module.CsvTag(column="level", unit="mm"),
            ABSENT: self.module.CsvTag(column="x", unit="mm"),
        }
        made: Connector = self.module.CsvConnector(
            "logger", settings, tags, clock=lambda: datetime.now(UTC), state=self.file.parent
        )
        return made

    async def show(self, value: float) -> datetime:
        at = datetime.now(UTC)
        with self.file.open("a") as file:
            file.write(f"{at.isoformat()},level,{value}\n")
        return at

    def cut(self) -> None:
        self.file.unlink()

    def freeze(self) -> None:
        """Nothing is appended any more."""

    async def restore(self) -> None:
        self.file.touch()


class TestExampleConnector(ConnectorContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> Bench:
        bench = Bench(tmp_path / "log.csv")
        await bench.show(0.0)
        return bench


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 90
