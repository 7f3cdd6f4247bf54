"""How well a wire can be protected, and which of a server's offers is the best.

Promises: a pure order of policies and modes; what is unheard of, and what rests on SHA-1 and is not named by the site,
is no offer at all. Refuses to know certificates beyond carrying them.

Policies and modes: OPC 10000-7, 6.6.161 and following; Basic128Rsa15 and Basic256 are deprecated there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from asyncua import ua
from asyncua.crypto import security_policies

from connectors.opcua.certificates import fingerprint, leaf
from connectors.samples import Provenance

Mode = ua.MessageSecurityMode

POLICIES: Final[tuple[type[security_policies.SecurityPolicy], ...]] = (
    security_policies.SecurityPolicyBasic128Rsa15,
    security_policies.SecurityPolicyBasic256,
    security_policies.SecurityPolicyBasic256Sha256,
    security_policies.SecurityPolicyAes128Sha256RsaOaep,
    security_policies.SecurityPolicyAes256Sha256RsaPss,
)
"""Every policy that can be spoken, weakest first."""
DEPRECATED: Final = frozenset({"Basic128Rsa15", "Basic256"})
"""They rest on SHA-1, the first on a padding that gives plain text away; taken only where the site names them."""

_MODES: Final = (Mode.Sign, Mode.SignAndEncrypt)


def short(uri: str) -> str:
    """Return a policy as the standard writes it, such as `Basic256Sha256`."""
    return uri.rpartition("#")[2]


_BY_NAME: Final = {short(policy.URI): policy for policy in POLICIES}
_RANK: Final = {name: rank for rank, name in enumerate(_BY_NAME)}


@dataclass(frozen=True, slots=True)
class Protection:
    """A policy and a mode; ordered by `strength`. Raises ValueError for a policy or a mode that protects nothing."""

    policy: str
    mode: Mode

    def __post_init__(self) -> None:
        if self.policy not in _BY_NAME or self.mode not in _MODES:
            raise ValueError(f"{self.policy}, {self.mode!r} is no protection")

    @property
    def strength(self) -> tuple[bool, bool, int]:
        """A policy that still holds first, then whether nobody can read along, then the policy's rank.

        A deprecated policy comes last, encrypted or not: what is not authentic is not made true by being secret.
        """
        return self.policy not in DEPRECATED, self.mode == Mode.SignAndEncrypt, _RANK[self.policy]

    @property
    def provenance(self) -> Provenance:
        """Class A is authenticated and encrypted, by a policy that still holds; all else is class B."""
        return Provenance.A if self.strength[:2] == (True, True) else Provenance.B

    @property
    def kind(self) -> type[security_policies.SecurityPolicy]:
        """The policy class of the protocol stack."""
        return _BY_NAME[self.policy]

    def __str__(self) -> str:
        """As people read it: the mode only where it is the weaker one."""
        return self.policy if self.mode == Mode.SignAndEncrypt else f"{self.policy} (Sign)"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers: a protection, and the server's certificate (DER)."""

    protection: Protection
    certificate: bytes

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the hexadecimal digest of the server's certificate."""
        return fingerprint(self.certificate)


@dataclass(frozen=True, slots=True)
class Secured:
    """How an open session is protected: None is not at all, as the site has named it insecure.

    fingerprint: of the certificate that the server has proved to own, empty without protection.
    """

    protection: Protection | None
    fingerprint: str = ""

    @property
    def provenance(self) -> Provenance:
        """The class of what comes over it."""
        return Provenance.B if self.protection is None else self.protection.provenance


UNSECURED: Final = Secured(None)


def best_offer(endpoints: Iterable[ua.EndpointDescription], deprecated: Collection[str] = ()) -> Offer | None:
    """Return the strongest offer that we accept, or None when there is none.

    deprecated: which of `DEPRECATED` the site has named.
    """
    offers = [offer for endpoint in endpoints if (offer := _offer(endpoint, deprecated)) is not None]
    return max(offers, key=lambda offer: offer.protection.strength, default=None)


def _offer(endpoint: ua.EndpointDescription, deprecated: Collection[str]) -> Offer | None:
    name = short(str(endpoint.SecurityPolicyUri))
    known = name in _BY_NAME and endpoint.SecurityPolicyUri == _BY_NAME[name].URI
    allowed = known and (name not in DEPRECATED or name in deprecated)
    if not allowed or endpoint.SecurityMode not in _MODES or not endpoint.ServerCertificate:
        return None
    return Offer(Protection(name, endpoint.SecurityMode), leaf(bytes(endpoint.ServerCertificate)))
