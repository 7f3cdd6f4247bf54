"""A server keeps its certificate, so that its fingerprint can be pinned."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from connectors.simulator.errors import SimulatorError
from connectors.simulator.identity import load_or_make


def test_the_fingerprint_survives_restarts_and_the_key_stays_private(tmp_path: Path) -> None:
    first = load_or_make(tmp_path / "state", "urn:test:server")
    assert load_or_make(tmp_path / "state", "urn:test:server") == first
    assert stat.S_IMODE((tmp_path / "state" / "server.pem").stat().st_mode) == 0o600
    assert first.fingerprint.startswith("sha256:")
    assert len(first.fingerprint) == len("sha256:") + 64


def test_the_certificate_names_its_application(tmp_path: Path) -> None:
    certificate = x509.load_der_x509_certificate(load_or_make(tmp_path, "urn:test:server").certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:test:server"]


def test_a_place_that_is_no_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulatorError, match="cannot hold the simulator's state"):
        load_or_make(tmp_path / "file" / "state", "urn:test:server")
