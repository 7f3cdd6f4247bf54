"""An example of a connector: it follows a CSV file to which a data logger appends lines of `time,tag,value`."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from connectors.connector import ConnectionLost, Deliver, TagFault
from connectors.samples import Batch, Provenance, Quality, Sample
from connectors.settings import ConnectionSettings, Duration, TagSettings


class CsvSettings(ConnectionSettings):
    connector: Literal["csv"] = "csv"
    file: Path
    silence: Duration = Field(default=timedelta(seconds=60), description="how long the file may not grow")


class CsvTag(TagSettings):
    column: str = Field(min_length=1)


class CsvConnector:
    Settings, TagSettings = CsvSettings, CsvTag

    def __init__(
        self,
        name: str,
        settings: CsvSettings,
        tags: Mapping[str, CsvTag],
        *,
        clock: Callable[[], datetime],
        state: Path,
    ) -> None:
        self.name, self._settings, self._tags, self._clock = name, settings, tags, clock
        self._keys, self._at = {tag.column: key for key, tag in tags.items()}, 0

    async def converse(self, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]) -> None:
        loop, seen, told = asyncio.get_running_loop(), set[str](), -1
        grown = loop.time()
        while loop.time() - grown <= self._settings.silence / timedelta(seconds=1):
            samples = await asyncio.to_thread(self._read)
            if samples:
                grown = loop.time()
                seen |= {sample.tag for sample in samples}
                if len(seen) != told:
                    told = len(seen)
                    report(self._faults(seen))
                await deliver(Batch.of(self.name, samples))
            await asyncio.sleep(self._settings.sampling / timedelta(seconds=1))
        raise ConnectionLost(f"{self._settings.file} does not grow")

    async def probe(self) -> Sequence[TagFault]:
        return self._faults({sample.tag for sample in await asyncio.to_thread(self._read)})

    def _faults(self, seen: set[str]) -> list[TagFault]:
        return [TagFault(key, f"no line names {tag.column}") for key, tag in self._tags.items() if key not in seen]

    def _read(self) -> list[Sample]:
        try:
            with self._settings.file.open("rb") as file:
                file.seek(self._at)
                whole = file.read(1_000_000).rpartition(b"\n")[0]  # a line without its end is still being written
        except OSError as error:
            raise ConnectionLost(f"{self._settings.file}: {error.strerror}") from error
        self._at += len(whole) + 1 if whole else 0
        lines = csv.reader(whole.decode("utf-8", "replace").splitlines())
        return [sample for line in lines if len(line) == 3 and (sample := self._sample(*line)) is not None]

    def _sample(self, time: str, column: str, value: str) -> Sample | None:
        key, now = self._keys.get(column), self._clock()
        if key is None:
            return None
        try:
            number, at = float(value), datetime.fromisoformat(time).astimezone(now.tzinfo)
        except ValueError:
            return Sample(key, float("nan"), Quality.BAD, now, now, Provenance.B)
        finite = number - number == 0
        quality = Quality.GOOD if finite else Quality.BAD
        return Sample(key, number if finite else float("nan"), quality, at, now, Provenance.B)
