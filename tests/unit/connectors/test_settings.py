"""What a site may say about connections and tags."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.modbus.connector import ModbusConnector
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.settings import connector_types, models

PIN = "sha256:" + "ab" * 32


def test_spans_are_written_with_their_unit():
    settings = OpcUaSettings(url="opc.tcp://10.0.0.5:4840", sampling="250 ms", clock_tolerance="5 min")
    assert settings.sampling == timedelta(milliseconds=250)
    assert OpcUaSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("sampling", ["1", "0 s", "-1 s", "2 h", "1 mm", 1, None, "soon"])
def test_a_rhythm_without_unit_or_sense_is_refused(sampling: Any):
    with pytest.raises(ValidationError):
        ModbusSettings(host="plc", sampling=sampling)


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        ModbusSettings(host="plc", prot=502)


@pytest.mark.parametrize("written", [PIN, PIN.upper(), "sha256:" + ":".join(["AB"] * 32)])
def test_a_fingerprint_may_be_written_as_tools_show_it(written: str):
    assert OpcUaSettings(url="opc.tcp://a:1", server_certificate=written).server_certificate == PIN


@pytest.mark.parametrize("written", ["ab" * 32, "sha256:ab", "sha1:" + "ab" * 20, PIN + "ab", ""])
def test_another_fingerprint_is_refused(written: str):
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        OpcUaSettings(url="opc.tcp://a:1", server_certificate=written)


def test_pinned_and_insecure_exclude_each_other():
    with pytest.raises(ValidationError, match="exclude each other"):
        OpcUaSettings(url="opc.tcp://a:1", server_certificate=PIN, insecure=True)


@pytest.mark.parametrize("url", ["http://a:1", "opc.tcp://", "opc.tcp://user:secret@a:1", "a:4840", "opc.tcp://a b"])
def test_a_url_of_another_kind_or_with_a_secret_is_refused(url: str):
    with pytest.raises(ValidationError):
        OpcUaSettings(url=url)


@pytest.mark.parametrize("node", ["nsu=urn:a:b;s=x;y=z", "i=2258", "nsu=http://a/b;i=4294967295", "nsu=u;b=AAE="])
def test_a_node_names_its_namespace_by_uri(node: str):
    assert OpcUaTag(node=node, unit="mm").node == node


@pytest.mark.parametrize(
    "node",
    [
        *("ns=2;s=x", "s=", "x", "nsu=u", "nsu=;s=x", "i=4294967296", "i=x", "g=1234", "b=?", "nsu=u;s=a\nb", "i=²"),
        "nsu=u;g=------------------------------------",
    ],
)
def test_another_node_is_refused(node: str):
    with pytest.raises(ValidationError):
        OpcUaTag(node=node, unit="mm")


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"register": 40001}, ("holding", 0)),
        ({"register": 49999}, ("holding", 9998)),
        ({"register": 30010}, ("input", 9)),
        ({"register": 465536}, ("holding", 65535)),
        ({"register": 10001}, ("discrete", 0)),
        ({"register": "00010"}, ("coil", 9)),
        ({"address": 0}, ("holding", 0)),
        ({"address": 7, "table": "input"}, ("input", 7)),
    ],
)
def test_a_register_from_one_and_an_address_from_zero_name_the_same_place(told: dict[str, Any], place: Any):
    assert ModbusTag(unit="h", **told).place == place


@pytest.mark.parametrize(
    "told",
    [
        *({}, {"register": 40001, "address": 0}, {"register": 40001, "table": "input"}, {"register": 40000}),
        *({"register": n} for n in (4, 0, -40001, 50001, 465537, 4000001)),
        *(
            {"address": -1},
            {"address": 65536},
            {"address": 65535, "type": "int32"},
            {"address": 65533, "type": "int64"},
        ),
        *({"address": 0, "scale": float("nan")}, {"address": 0, "unit": ""}),
    ],
)
def test_another_place_is_refused(told: dict[str, Any]):
    with pytest.raises(ValidationError):
        ModbusTag(**({"unit": "h"} | told))


def test_the_installed_connectors_are_found_by_name():
    kinds = connector_types()
    assert {"opcua", "modbus"} <= set(kinds)
    assert kinds["opcua"] is OpcUaConnector
    assert kinds["modbus"] is ModbusConnector
    with pytest.raises(KeyError):
        kinds["telepathy"]
    for name, kind in kinds.items():
        assert models(name) == (kind.Settings, kind.TagSettings)


def test_checking_a_config_loads_no_protocol_stack():
    program = (
        "import sys; from connectors.settings import connector_types, models; models('opcua'); models('modbus')\n"
        "list(connector_types()); print([n for n in ('asyncua', 'pymodbus', 'cryptography') if n in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


PASSWORD = {"name": "plc", "password": {"file": "word"}}
FILES = {"certificate": "a.der", "key": "a.pem"}


def test_several_certificates_of_one_machine_can_be_pinned():
    other = "sha256:" + "AB:" * 31 + "AB"
    assert OpcUaSettings(url="opc.tcp://a:1", server_certificate=(PIN, other)).pinned == {PIN, "sha256:" + "ab" * 32}
    assert OpcUaSettings(url="opc.tcp://a:1", server_certificate=PIN).pinned == {PIN}
    assert OpcUaSettings(url="opc.tcp://a:1").pinned == frozenset()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"server_certificate": []}, "at most 16"),
        ({"server_certificate": [PIN] * 17}, "at most 16"),
        ({"server_certificate": [PIN, "sha1:ab"]}, "64 hexadecimal digits"),
        ({"deprecated_policies": ["None"]}, "Basic256"),
        ({"certificate": "a.der"}, "belong together"),
        ({"key_password": {"file": "word"}}, "password of a 'key'"),
        ({"user": {}}, "name either"),
        ({"user": {"name": "plc"}}, "name either"),
        ({"user": {**PASSWORD, **FILES}}, "name either"),
        ({"user": {"certificate": "a.der"}}, "belong together"),
        ({"user": {"name": "plc", "password": "hunter2"}}, "never written here"),
        ({"user": PASSWORD, "insecure": True}, "anybody could read it"),
    ],
)
def test_what_cannot_be_protected_is_a_mistake(said: dict[str, object], reason: str):
    with pytest.raises(ValidationError, match=reason) as caught:
        OpcUaSettings.model_validate({"url": "opc.tcp://a:1", **said})
    assert reason in str(caught.value)


def test_a_user_may_be_known_by_a_certificate_even_without_a_protected_channel():
    assert OpcUaSettings.model_validate({"url": "opc.tcp://a:1", "insecure": True, "user": FILES}).user is not None
