"""What a site says about an OPC-UA server and its variables, checked when it is read; loads no protocol stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from gettext import gettext as _
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.settings import ConnectionSettings, Duration, Rhythm, TagSettings


def _fingerprint(value: str) -> str:
    match = re.fullmatch(r"sha256:((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", value.strip().lower())
    if match is None:
        raise ValueError(_("write 'sha256:' and the 64 hexadecimal digits of the certificate's fingerprint"))
    return "sha256:" + match[1].replace(":", "")


_URL: Final = r"^opc\.tcp://[^\s/@?#]+(/[^\s@]*)?$"


class OpcUaSettings(ConnectionSettings):
    """A conversation with one OPC-UA server."""

    connector: Literal["opcua"] = "opcua"
    url: str = Field(pattern=_URL, examples=["opc.tcp://10.0.0.5:4840"])
    server_certificate: Annotated[str, AfterValidator(_fingerprint)] | None = None
    """`sha256:` and the fingerprint of the server's certificate; without it the connection is refused and the
    refusal names the fingerprint found, for a person to compare and pin."""
    insecure: bool = False
    """True accepts a server without any security; what it says counts as class B."""
    adopt: bool = False
    """True takes over, at every start, the machines that the server describes by a companion specification."""
    publishing: Rhythm | None = None
    """How often the server sends what it collected; the sampling if left out."""
    standby: tuple[Annotated[str, Field(pattern=_URL)], ...] = Field(default=(), max_length=8)
    """Other servers of the same machine, in their order: where the first is lost, the next one is asked."""
    queue: int = Field(default=1000, ge=1, le=100_000)
    """Values that the server keeps for one tag between two sendings; the oldest go first when it overflows."""
    clock_tolerance: Duration = Field(default="5 min", validate_default=True)
    """A value dated farther than this from when it arrived is uncertain: the clock is off, or the value is old."""

    @model_validator(mode="after")
    def _pinned_or_insecure(self) -> Self:
        if self.insecure and self.server_certificate is not None:
            raise ValueError(_("'insecure' and 'server_certificate' exclude each other"))
        return self


_NODE: Final = re.compile(r"(?P<space>nsu=[^;]+;|ns=\d+;)?(?P<kind>[isgb])=(?P<name>.+)")
_NAMES: Final[Mapping[str, Callable[[str], bool]]] = {
    "i": lambda name: name.isascii() and name.isdigit() and len(name) <= 10 and int(name) < 2**32,
    "s": lambda name: name.isprintable(),
    "g": lambda name: re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", name) is not None,
    "b": lambda name: re.fullmatch(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", name) is not None,
}


def _node(value: str) -> str:
    match = _NODE.fullmatch(value)
    if match is None or not _NAMES[match["kind"]](match["name"]):
        raise ValueError(_("write a node as 'nsu=URI;s=NAME', or with i=, g= or b= in place of s="))
    if (match["space"] or "").startswith("ns="):
        # Servers renumber their namespaces at a restart; the wrong node would then be read without a word.
        raise ValueError(_("name the namespace by its URI (nsu=...): its number can change when the server restarts"))
    return value


class OpcUaTag(TagSettings):
    """One variable of an OPC-UA server; what it leaves out is as its connection says."""

    node: Annotated[str, AfterValidator(_node)] = Field(max_length=4096, examples=["nsu=urn:maker:plant;s=mill.load"])
    sampling: Rhythm | None = None
    queue: int | None = Field(default=None, ge=1, le=100_000)
