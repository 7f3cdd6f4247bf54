"""Space is written with its unit, like everything else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.settings import StorageSettings


@pytest.mark.parametrize(("written", "size"), [("64 MiB", 64 * 2**20), ("4 GiB", 4 * 2**30), ("1 TiB", 2**40)])
def test_the_room_of_samples_is_read_and_written_with_its_unit(written: str, size: int):
    settings = StorageSettings.model_validate({"samples_max": written})
    assert settings.samples_max == size
    assert settings.model_dump(mode="json")["samples_max"] == written
    assert StorageSettings().samples_max == 4 * 2**30


@pytest.mark.parametrize("written", ["4", "4 GB", "-1 GiB", "63 MiB", "1.5 GiB", "", 4294967296])
def test_a_room_without_its_unit_or_too_small_is_refused(written: object):
    with pytest.raises(ValidationError, match=r"unit of space|too little"):
        StorageSettings.model_validate({"samples_max": written})
