"""Whom the gateway believes among machines: a named person says it, the log keeps who, and time is watched.

Promises: a server is let in or thrown out by a person and audited, before it counts; that a site has chosen a
connection without protection, or with a withdrawn policy, is audited once for each such choice; certificates that run
out are told in the log and in the gateway's status. Loads nothing of OPC-UA until it is asked. Refuses to judge
certificates: `connectors.opcua.trust` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from gettext import gettext as _
from typing import Any, Final

import structlog

from connectors.connector import ConnectionRefused
from connectors.opcua.settings import OpcUaSettings
from gateway.actions import Outcome
from gateway.config import Config
from gateway.storage import Storage
from marketplace.audit import log as audit
from marketplace.audit.actor import Actor, ActorKind

CHOICE: Final = "connection.protection_chosen"
"""The kind of audit leaf that keeps what a config says of a connection's protection."""

log = structlog.get_logger()


class Trusting:
    """Acts and watches over the certificates of one gateway; `warnings` are the sentences that stand now."""

    def __init__(
        self,
        config: Callable[[], Config],
        spend: Storage,
        clock: Callable[[], datetime],
        wall: Callable[[], datetime],
        again: Callable[[str], Awaitable[None]],
    ) -> None:
        """Take the config as it is now, plant time and wall time, and what begins a connection anew."""
        self._config = config
        self._spend = spend
        self._clock = clock
        self._wall = wall
        self._again = again
        self._judging, self._choosing = asyncio.Lock(), asyncio.Lock()
        self.warnings: tuple[str, ...] = ()

    async def judge(self, connection: str, fingerprint: str, verdict: str, person: Actor) -> Outcome:
        """Pin or reject (`verdict` is `pinned` or `rejected`) a certificate that a connection's server has shown."""
        settings = self._config().connections.get(connection)
        if not isinstance(settings, OpcUaSettings):
            text = _("There is no OPC-UA connection {name} in the config; nothing changed.")
            return Outcome(False, "CONNECTION_UNKNOWN", text.format(name=connection))
        if settings.pinned:
            text = _("The config pins the server of {name}, and it wins: change server_certificate. Nothing changed.")
            return Outcome(False, "PINNED_BY_CONFIG", text.format(name=connection))
        if settings.insecure:
            text = _("{name} is named insecure in the config, so no certificate is looked at. Nothing changed.")
            return Outcome(False, "CONNECTION_INSECURE", text.format(name=connection))
        async with self._judging:
            return await self._judge(connection, fingerprint, verdict, person)

    async def _judge(self, connection: str, fingerprint: str, verdict: str, person: Actor) -> Outcome:
        from connectors.opcua import pins

        state, now = self._config().connector_state, self._wall()
        try:
            seen = await asyncio.to_thread(pins.seen, state, connection)
            shown = {each.fingerprint: each for each in seen}.get(fingerprint)
            if shown is None:
                text = _(
                    "{name} has seen no certificate {fingerprint}; 'toolcrib trust list' shows which. Nothing changed."
                )
                return Outcome(False, "CERTIFICATE_UNKNOWN", text.format(name=connection, fingerprint=fingerprint))
            kind = pins.Verdict(verdict)
            if shown.verdict is kind:
                return Outcome(True, f"ALREADY_{kind.name}", _said(kind.value, connection, fingerprint))
            # The log first: a pin that nobody is known to have made must never be in force.
            facts = {"fingerprint": fingerprint, "subject": shown.described.subject, "before": shown.verdict.value}
            await self._append(f"certificate.{kind.value}", connection, person, facts)
            await asyncio.to_thread(pins.judge, state, connection, fingerprint, kind, person.id, now)
        except (ConnectionRefused, OSError, ValueError, LookupError) as error:
            log.warning("a certificate could not be judged", connection=connection, error=str(error))
            return Outcome(False, "NOT_JUDGED", _("{reason}. Nothing changed.").format(reason=error))
        log.info("a server's certificate was judged", connection=connection, verdict=verdict, person=person.id)
        await self._again(connection)
        return Outcome(True, f"CERTIFICATE_{kind.name}", _said(kind.value, connection, fingerprint))

    async def look(self) -> None:
        """Look how long certificates last, tell what is new about it, and audit what the config has chosen."""
        config = self._config()
        if any(isinstance(settings, OpcUaSettings) for settings in config.connections.values()):
            from gateway.certificate_watch import told

            found = tuple(await asyncio.to_thread(told, config, self._wall()))
            for sentence in found:
                if sentence not in self.warnings:
                    log.warning("certificates", sentence=sentence)
            self.warnings = found
        await self.audit_choices()

    async def audit_choices(self) -> None:
        """Keep in the log which connections have less than full protection because the site says so, and from when."""
        async with self._choosing:  # two who look at once must not write it twice
            for name, facts in _choices(self._config()):
                await self._audit_choice(name, facts)

    async def _audit_choice(self, name: str, facts: dict[str, Any]) -> None:
        owner = self._config().owner
        async with self._spend.read() as tx:
            known = await audit.entries(tx, name, 1, owner=owner, kind=CHOICE)
        before = dict(known[-1].facts) if known else {"insecure": False, "deprecated": []}
        if before != facts:
            gateway = Actor(ActorKind.GATEWAY, owner.gateway_id, "config")
            await self._append(CHOICE, name, gateway, facts)
            log.warning("the config has chosen the protection of a connection", connection=name, **facts)

    async def _append(self, kind: str, subject: str, actor: Actor, facts: Mapping[str, Any]) -> None:
        async with self._spend.write() as tx:
            await audit.append(tx, self._config().owner, kind, subject, actor, facts, self._clock())


def _choices(config: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, settings in config.connections.items():
        if isinstance(settings, OpcUaSettings):
            yield name, {"insecure": settings.insecure, "deprecated": sorted(settings.deprecated_policies)}


def _said(verdict: str, connection: str, fingerprint: str) -> str:
    if verdict == "pinned":
        text = _("{name} speaks to the server with {fingerprint} from now on.")
    else:
        text = _("{name} speaks no more to a server with {fingerprint}.")
    return text.format(name=connection, fingerprint=fingerprint)
