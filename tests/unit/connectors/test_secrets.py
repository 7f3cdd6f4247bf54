"""Secrets are named, never written, and never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.secrets import BYTES_MAX, SecretMissing, SecretReference


def test_a_file_is_looked_for_from_the_config_and_read_without_its_last_line_end(tmp_path: Path):
    (tmp_path / "word").write_bytes("  pässword \r\n".encode())
    secret = SecretReference.model_validate({"file": "word"}, context={"base": tmp_path})
    assert secret.read() == "  pässword "
    assert SecretReference(file=tmp_path / "word").place == secret.place


def test_a_credential_is_read_where_systemd_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    secret = SecretReference(credential="plc")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SecretMissing, match="needs systemd"):
        secret.read()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "plc").write_text("word")
    assert secret.read() == "word"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff", b"x" * (BYTES_MAX + 1)])
def test_what_is_no_secret_is_refused_and_not_repeated(tmp_path: Path, content: bytes):
    (tmp_path / "word").write_bytes(content)
    with pytest.raises(SecretMissing) as caught:
        SecretReference(file=tmp_path / "word").read()
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("written", ["hunter2", {}, {"file": "a", "credential": "b"}, {"credential": "../up"}])
def test_one_written_inline_or_named_twice_is_a_mistake(written: object):
    with pytest.raises(ValidationError):
        SecretReference.model_validate(written)


def test_a_missing_file_is_named():
    with pytest.raises(SecretMissing, match="/nowhere/word cannot be read"):
        SecretReference(file=Path("/nowhere/word")).read()
