"""The stop switch and the alarms as acts of people: who may do what, and the sentence that says what came of it.

To stop takes any right that the config gives: whoever is trusted with anything may prevent spending. To lift a stop, or
to acknowledge an alarm, is to let money move again: it takes the right to approve or to apply a policy. A stop that the
file STOP demands is not lifted while the file is there.
"""

from __future__ import annotations

from gettext import gettext as _
from gettext import ngettext

from gateway.actions import Outcome, Right
from gateway.config import Config
from gateway.stop_file import StopFile
from marketplace.audit.actor import Actor
from marketplace.authority.halts import BY_PERSON
from marketplace.authority.scopes import Scope, ScopeKind
from marketplace.ordering.stopping import Stopping
from marketplace.sentences import reach

LIFTING = frozenset({Right.APPROVE, Right.APPLY_POLICY})
"""Rights of which one lets a person lift stops and acknowledge alarms."""


def known(config: Config, scope: Scope) -> bool:
    """Return whether the config has what a scope names."""
    match scope.kind:
        case ScopeKind.PLANT:
            return True
        case ScopeKind.MACHINE:
            return scope.key in config.file.machines
        case ScopeKind.SUPPLIER:
            return scope.key in config.suppliers
    return scope.key in config.components


class Halting:
    """What people do about stops and alarms on one gateway."""

    def reconfigure(self, config: Config) -> None:
        """Judge by another config from now on; see `gateway.reload` for what may differ."""
        self._config = config

    def knows(self, scope: Scope) -> bool:
        """Return whether the config has what a scope names."""
        return known(self._config, scope)

    def __init__(self, config: Config, stopping: Stopping, file: StopFile) -> None:
        self._config = config
        self._stopping = stopping
        self._file = file

    async def stop(self, kind: str, key: str, reason: str, person: Actor) -> Outcome:
        """Stop buying within a scope."""
        if not self._rights(person):
            return self._refused(person)
        scope = _scope(kind, key)
        if scope is None or not known(self._config, scope):
            sentence = _(
                "There is no {scope} in the config, so nothing was stopped. To stop everything, stop the plant."
            )
            return Outcome(False, "SCOPE_UNKNOWN", sentence.format(scope=f"{kind} {key}".strip()))
        stopped = await self._stopping.stop(scope, BY_PERSON, person, note=reason)
        said = _("Buying is stopped: {reach}.") if stopped.new else _("Buying was stopped already: {reach}.")
        count = len(stopped.cancelled)
        off = ngettext("{n} order that was not sent is off.", "{n} orders that were not sent are off.", count)
        return Outcome(True, "STOPPED", f"{said} {off}".format(reach=self._reach(scope), n=count))

    async def resume(self, kind: str, key: str, reason: str, person: Actor) -> Outcome:
        """End the stop of exactly this scope."""
        if not self._rights(person) & LIFTING:
            return self._refused(person)
        scope = _scope(kind, key)
        if scope is not None and self._file.demands(scope):
            sentence = _("The file {path} demands this stop: take it away first, then lift the stop. Nothing changed.")
            return Outcome(False, "STOP_FILE_THERE", sentence.format(path=self._file.path))
        halt = None if scope is None else await self._stopping.resume(scope, person, note=reason)
        if halt is None or scope is None:
            sentence = _("No such stop stands: {scope}. Nothing changed.")
            return Outcome(False, "NOT_STOPPED", sentence.format(scope=f"{kind} {key}".strip()))
        sentence = _("The stop is lifted: {reach}. What waits is taken up again.")
        return Outcome(True, "STOP_LIFTED", sentence.format(reach=self._reach(scope)))

    async def acknowledge(self, alarm: str, note: str, person: Actor) -> Outcome:
        """Say that an alarm was seen; a stop that it has caused stays."""
        if not self._rights(person) & LIFTING:
            return self._refused(person)
        seen = await self._stopping.acknowledge(alarm, person, note=note)
        if seen is None:
            return Outcome(False, "ALARM_UNKNOWN", _("No such alarm is open. Nothing changed."))
        sentence = _("The alarm is acknowledged; it stops nothing any more.")
        if seen.halted:
            sentence = _("The alarm is acknowledged. The stop that it caused stands until it is lifted.")
        return Outcome(True, "ALARM_ACKNOWLEDGED", sentence)

    def _reach(self, scope: Scope) -> str:
        return reach(scope.kind, scope.key)

    def _rights(self, person: Actor) -> frozenset[Right]:
        settings = self._config.people.get(person.id)
        return settings.may if settings else frozenset()

    def _refused(self, person: Actor) -> Outcome:
        sentence = _(
            "{person} may not do this; the config gives that right under people.{person}.may. Nothing changed."
        )
        return Outcome(False, "NOT_AUTHORISED", sentence.format(person=person.id))


def _scope(kind: str, key: str) -> Scope | None:
    try:
        return Scope(ScopeKind(kind), key)
    except ValueError:
        return None
