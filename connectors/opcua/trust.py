"""Whether a server may be spoken to, and over which of its offers; never weaker than before.

Promises: a server is accepted only by a fingerprint that a person pinned; the best protection it offers is taken, and
a weaker offer later is refused as an alarm. Pure decisions: every refusal is a `ConnectionRefused` that says what was
found and what to do. Refuses to know files, tags and values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from gettext import gettext as _

from asyncua import ua

from connectors.connector import ConnectionRefused
from connectors.opcua.memory import Memory
from connectors.opcua.policies import DEPRECATED, Offer, best_offer, short


def protected(offer: Offer | None, endpoints: Iterable[ua.EndpointDescription]) -> Offer:
    """Return the best offer if there is one. Raises ConnectionRefused, naming deprecated ones that were passed over."""
    if offer is not None:
        return offer
    found = {short(str(endpoint.SecurityPolicyUri)) for endpoint in endpoints} & DEPRECATED
    if found:
        text = _(
            "the server offers nothing better than {found}, which is deprecated: update the server, or name it under"
            " deprecated_policies, and what it says counts as class B"
        )
        raise ConnectionRefused(text.format(found=", ".join(sorted(found))))
    raise ConnectionRefused(_("the server offers no connection that is signed and encrypted, nor one that is signed"))


def accept(
    offer: Offer, pinned: Collection[str], remembered: Memory | None, *, rejected: Collection[str] = (), name: str = ""
) -> Offer:
    """Return the offer if it is a pinned server at no less than the protection it had before.

    name: the connection's, for the command that pins. Raises ConnectionRefused, naming what was found.
    """
    found = offer.fingerprint
    if found not in pinned:
        raise ConnectionRefused(_unknown(found, pinned, rejected, name))
    if (
        remembered is not None
        and remembered.fingerprint == found
        and remembered.protection.strength > offer.protection.strength
    ):
        text = _("ALARM: the server offered {before} before and now only {now}: somebody may be weakening the wire")
        raise ConnectionRefused(text.format(before=remembered.protection, now=offer.protection))
    return offer


def _unknown(found: str, pinned: Collection[str], rejected: Collection[str], name: str) -> str:
    if found in rejected:
        return _(
            "the server's certificate {found} was rejected by a person: this server is not to be spoken to"
        ).format(found=found)
    if pinned:
        text = _("the server's certificate is {found}, pinned is {pinned}: it was replaced, or this is another server")
        return text.format(found=found, pinned=", ".join(sorted(pinned)))
    text = _(
        "the server is unknown and quarantined: compare its certificate's fingerprint at the machine, then"
        " 'toolcrib trust pin {name} {found}', or pin it in the config: server_certificate: {found}"
    )
    return text.format(found=found, name=name)


def confirm(offer: Offer, endpoints: Iterable[ua.EndpointDescription], deprecated: Collection[str] = ()) -> None:
    """Check the offer in use against the list that the server repeated under protection.

    Discovery is neither signed nor encrypted: anybody on the way could have struck out the better offers.
    Raises ConnectionRefused when the server has a better one.
    """
    best = best_offer(endpoints, deprecated)
    if best is not None and best.protection.strength > offer.protection.strength:
        text = _("ALARM: the server offers {best}, but discovery showed only {now}: somebody may be weakening the wire")
        raise ConnectionRefused(text.format(best=best.protection, now=offer.protection))


def accept_insecure(endpoints: Iterable[ua.EndpointDescription]) -> None:
    """Check that a server takes connections without security. Raises ConnectionRefused."""
    if all(endpoint.SecurityMode != ua.MessageSecurityMode.None_ for endpoint in endpoints):
        raise ConnectionRefused(_("the server takes no insecure connection: remove 'insecure' and pin its certificate"))
