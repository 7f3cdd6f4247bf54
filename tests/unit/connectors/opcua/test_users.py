"""A password leaves only where nobody can read it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.connector import ConnectionRefused
from connectors.opcua.policies import Mode
from connectors.opcua.settings import UserSettings
from connectors.opcua.users import ANONYMOUS, credentials, may_send_password

PREFIX = "http://opcfoundation.org/UA/SecurityPolicy#"
NOW = datetime(2027, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mode", "token", "named", "sent"),
    [
        (Mode.SignAndEncrypt, "None", (), True),
        (Mode.SignAndEncrypt, "Basic256Sha256", (), True),
        (Mode.Sign, "Basic256Sha256", (), True),
        (Mode.Sign, "Aes256_Sha256_RsaPss", (), True),
        (Mode.Sign, "None", (), False),
        (Mode.Sign, "Unheard", (), False),
        (Mode.Sign, "Basic256", (), False),
        (Mode.Sign, "Basic256", ("Basic256",), True),
        # The key would be whatever somebody on the way put there.
        (Mode.None_, "Basic256Sha256", (), False),
        (Mode.None_, "None", (), False),
        (Mode.Invalid, "Basic256Sha256", (), False),
    ],
)
def test_a_password_is_sent_only_where_it_is_encrypted(mode: Mode, token: str, named: tuple[str, ...], sent: bool):
    if sent:
        may_send_password(mode, PREFIX + token, named)
        return
    with pytest.raises(ConnectionRefused, match="so it was not sent"):
        may_send_password(mode, PREFIX + token, named)


def test_a_token_without_any_policy_is_not_one_that_encrypts():
    with pytest.raises(ConnectionRefused):
        may_send_password(Mode.Sign, "")


def test_nobody_is_anonymous_and_a_password_is_in_no_repr(tmp_path: Path):
    assert credentials(None, NOW) is ANONYMOUS
    (tmp_path / "word").write_text("hunter2")
    user = UserSettings.model_validate({"name": "plc", "password": {"file": tmp_path / "word"}})
    found = credentials(user, NOW)
    assert (found.name, found.password) == ("plc", "hunter2")
    assert "hunter2" not in repr(found)


def test_a_certificate_that_is_not_there_is_a_refusal(tmp_path: Path):
    user = UserSettings(certificate=tmp_path / "user.der", key=tmp_path / "user.pem")
    with pytest.raises(ConnectionRefused, match=r"user\.der cannot be read"):
        credentials(user, NOW)
