from pathlib import Path

import pytest

from gateway.durable import sync_directory, sync_file, write_durably


def test_a_file_is_replaced_whole_and_only_its_owner_reads_it(tmp_path: Path):
    path = tmp_path / "note"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir()] == ["note"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "note"
    write_durably(path, b"one")
    (tmp_path / "note.new").mkdir()
    with pytest.raises(OSError, match=r"note\.new"):
        write_durably(path, b"two")
    assert path.read_bytes() == b"one"


def test_files_and_directories_are_synced_or_missed(tmp_path: Path):
    (tmp_path / "there").touch()
    sync_file(tmp_path / "there")
    sync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "gone")
