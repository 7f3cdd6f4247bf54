"""What a server spoils on the way to a session, in words of the port."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncua import ua

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.opcua.session import asked, said


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ua.UaStatusCodeError(ua.StatusCodes.BadCertificateUntrusted), ConnectionRefused),
        (ua.UaStatusCodeError(ua.StatusCodes.BadTooManySessions), ConnectionLost),
        (OSError("no route"), ConnectionLost),
        (TimeoutError(), ConnectionLost),
        (IndexError("garbage"), ConnectionLost),
    ],
)
async def test_whatever_a_server_spoils_is_said_in_words_of_the_port(
    error: Exception, kind: type[Exception], tmp_path: Path
):
    async def fail() -> None:
        raise error

    with pytest.raises(ConnectionLost) as caught:
        await asked("opc.tcp://hall:4840", tmp_path, fail())
    assert type(caught.value) is kind
    if kind is ConnectionRefused:
        assert "certificate.der" in str(caught.value)


def test_a_long_error_is_one_short_line():
    assert said(ValueError("a\nb" * 1000)).startswith("ValueError: a b")
    assert len(said(ValueError("a\nb" * 1000))) == 200


@pytest.mark.parametrize("code", [ua.StatusCodes.BadUserAccessDenied, ua.StatusCodes.BadIdentityTokenRejected])
async def test_a_user_who_is_not_let_in_is_not_taken_for_a_certificate(code: int, tmp_path: Path):
    async def fail() -> None:
        raise ua.UaStatusCodeError(code)

    with pytest.raises(ConnectionRefused, match="look at 'user'"):
        await asked("opc.tcp://hall:4840", tmp_path, fail())
