"""What a site says about an OPC-UA server and its variables, checked when it is read; loads no protocol stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from gettext import gettext as _
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from connectors.secrets import FilePath, SecretReference
from connectors.settings import ConnectionSettings, Duration, Rhythm, Settings, TagSettings


def fingerprint_of(value: str) -> str:
    """Return a fingerprint as it is compared, without colons and in small letters. Raises ValueError."""
    match = re.fullmatch(r"sha256:((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", value.strip().lower())
    if match is None:
        raise ValueError(_("write 'sha256:' and the 64 hexadecimal digits of the certificate's fingerprint"))
    return "sha256:" + match[1].replace(":", "")


_URL: Final = r"^opc\.tcp://[^\s/@?#]+(/[^\s@]*)?$"


_PINS_MAX: Final = 16
"""A machine and its standby servers, each with the certificate that it has and the one to come."""


def _fingerprints(value: object) -> object:
    if isinstance(value, list | tuple):
        if not 1 <= len(value) <= _PINS_MAX:
            raise ValueError(_("must be one fingerprint, or a list of at most {most}").format(most=_PINS_MAX))
        return tuple(fingerprint_of(str(each)) for each in value)
    return fingerprint_of(value) if isinstance(value, str) else value


class UserSettings(Settings):
    """As whom we sign in: `name` and `password`, or `certificate` and `key` (PEM or DER). Secrets only by reference."""

    name: str = Field(default="", max_length=256)
    password: SecretReference | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    key_password: SecretReference | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        by_password = bool(self.name), self.password is not None
        by_certificate = self.certificate is not None, self.key is not None
        if any(by_password) == any(by_certificate) or any(by_password) != all(by_password):
            raise ValueError(_("name either 'name' and 'password', or 'certificate' and 'key'"))
        if any(by_certificate) != all(by_certificate):
            raise ValueError(_("'certificate' and 'key' belong together"))
        if self.key_password is not None and self.key is None:
            raise ValueError(_("'key_password' is the password of a 'key'"))
        return self


class OpcUaSettings(ConnectionSettings):
    """A conversation with one OPC-UA server.

    The best offer of the server is used. What comes over a signed and encrypted channel of a current policy counts as
    class A; a server that offers no more than signing is authenticated, but anybody can read along: class B.
    """

    connector: Literal["opcua"] = "opcua"
    url: str = Field(pattern=_URL, examples=["opc.tcp://10.0.0.5:4840"])
    server_certificate: Annotated[str | tuple[str, ...] | None, BeforeValidator(_fingerprints)] = None
    """`sha256:` and the fingerprint of the server's certificate, or a list of them where standby servers or a coming
    certificate have their own. It wins over `toolcrib trust`; without either the connection is refused and the
    certificate quarantined, for a person to compare and pin."""
    insecure: bool = False
    """True accepts a server without any security; what it says counts as class B."""
    adopt: bool = False
    """True takes over, at every start, the machines that the server describes by a companion specification."""
    deprecated_policies: frozenset[Literal["Basic128Rsa15", "Basic256"]] = frozenset()
    """Policies that the standard has withdrawn, taken where the server has no better; all that is class B."""
    certificate: FilePath | None = None
    """Our application certificate from the plant's PKI (PEM or DER, issuers beside it), with its `key`; without them
    the gateway makes its own."""
    key: FilePath | None = None
    key_password: SecretReference | None = None
    user: UserSettings | None = None
    """As whom we sign in; anonymously if left out."""
    publishing: Rhythm | None = None
    """How often the server sends what it collected; the sampling if left out."""
    standby: tuple[Annotated[str, Field(pattern=_URL)], ...] = Field(default=(), max_length=8)
    """Other servers of the same machine, in their order: where the first is lost, the next one is asked."""
    queue: int = Field(default=1000, ge=1, le=100_000)
    """Values that the server keeps for one tag between two sendings; the oldest go first when it overflows."""
    clock_tolerance: Duration = Field(default="5 min", validate_default=True)
    """A value dated farther than this from when it arrived is uncertain: the clock is off, or the value is old."""

    @property
    def pinned(self) -> frozenset[str]:
        """The fingerprints that the config pins."""
        told = self.server_certificate or ()
        return frozenset((told,) if isinstance(told, str) else told)

    @model_validator(mode="after")
    def _pinned_or_insecure(self) -> Self:
        if self.insecure and self.server_certificate is not None:
            raise ValueError(_("'insecure' and 'server_certificate' exclude each other"))
        if self.insecure and self.user is not None and self.user.password is not None:
            raise ValueError(_("a password is not sent over an 'insecure' connection: anybody could read it"))
        return self

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError(_("'certificate' and 'key' belong together"))
        if self.key_password is not None and self.key is None:
            raise ValueError(_("'key_password' is the password of a 'key'"))
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
    window: bool = False
    """True for an array of numbers that is one reading, a raw window of vibration or a spectrum: it stays whole for the
    machine's `features`, and is stored nowhere. All windows that change at once must fit a message of 4 MiB."""

    @model_validator(mode="after")
    def _whole_windows(self) -> Self:
        if self.window and self.deadband is not None:
            raise ValueError(_("a 'window' has no 'deadband': it is one reading of many numbers"))
        return self
