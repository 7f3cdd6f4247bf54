"""What people do, done: keeps the promise of `gateway.actions.Actions` for the page and the control socket.

Each act asks here, in one place, whether the person may; then it is one call into the marketplace or into the lives
of the plant. What the caller typed is read here, and a refusal is a sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from gettext import gettext as _

from gateway.actions import HandAnswer, HandReply, Outcome, Right
from gateway.alarm_watch import AlarmWatch
from gateway.auditing import Auditing
from gateway.config import Config
from gateway.halting import Halting
from gateway.live import Board
from gateway.lives import Lives
from gateway.policy_file import parse_policy
from gateway.restoration import Restoration
from gateway.trusting import Trusting
from gateway.yaml_file import Mistakes
from maintenance.assets import Found
from maintenance.clocks import clock_read, use_before
from maintenance.needs import Measure
from maintenance.symptoms import in_words, nearest, recognised, table_for
from marketplace import sentences, stock
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.keys import KeyUnreadable
from marketplace.audit.note import NoteBroken
from marketplace.audit.tree import AuditBroken
from marketplace.authority import gate
from marketplace.authority.gate import Approver, PolicyRefused
from marketplace.documents import Reply
from marketplace.money import to_decimal
from marketplace.ordering.orders import OrderBroken, OrderUnknown, load
from marketplace.ordering.purchase import Act, Purchasing
from marketplace.ordering.states import OrderState
from marketplace.suppliers.by_hand import enter_answer, enter_prices
from marketplace.suppliers.price_list import read_price_list

_REPLIES = {
    HandReply.RECEIVED: Reply.RECEIVED,
    HandReply.CONFIRMED: Reply.CONFIRMED,
    HandReply.REJECTED: Reply.REJECTED,
}
_FOUND_OUT = {
    HandReply.CONFIRMED: OrderState.CONFIRMED,
    HandReply.NOT_PLACED: OrderState.NOT_PLACED,
    HandReply.WITHDRAWN: OrderState.CANCELLED,
}


class Operations:
    """The acts of people on one gateway.

    reloading: reads its config again, where it runs from one. trusting: judges the certificates of its machines.
    """

    def __init__(
        self,
        config: Config,
        purchasing: Purchasing,
        lives: Lives,
        board: Board,
        halting: Halting,
        auditing: Auditing,
        restoration: Restoration,
        clock: Callable[[], datetime],
        alarms: AlarmWatch | None = None,
    ) -> None:
        self._config = config
        self._alarms = alarms
        self._purchasing = purchasing
        self._lives = lives
        self._board = board
        self._halting = halting
        self._clock = clock
        self._auditing = auditing
        self._restoration = restoration
        self.reloading: Callable[[Actor], Awaitable[Outcome]] | None = None
        self.trusting: Trusting | None = None

    def reconfigure(self, config: Config) -> None:
        """Judge by another config from now on; see `gateway.reload` for what may differ."""
        self._config = config

    async def approve(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        """Sign exactly the order of this hash."""
        return await self._ordering(
            number, self._purchasing.approve(number, order_hash, self._approver(person), method, note)
        )

    async def deny(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        """Refuse exactly the order of this hash; the same want is not raised again for a while."""
        if refusal := self._refusal(person, Right.APPROVE):
            return refusal
        return await self._ordering(number, self._purchasing.deny(number, order_hash, _person(person, method), note))

    async def cancel(self, number: str, person: str, method: str) -> Outcome:
        """Withdraw an order that was not sent, or ask the supplier to cancel it."""
        if refusal := self._refusal(person, Right.APPROVE):
            return refusal
        return await self._ordering(number, self._purchasing.cancel(number, _person(person, method)))

    async def answered(self, number: str, answer: HandAnswer, person: str, method: str) -> Outcome:
        """Enter what a supplier said about an order."""
        needed = Right.APPROVE if answer.reply is HandReply.SETTLED else Right.OPERATE
        if refusal := self._refusal(person, needed):
            return refusal
        return await self._ordering(number, self._answered(number, answer, _person(person, method)))

    async def release(self, subject: str, person: str, method: str) -> Outcome:
        """Let a purchase that was set apart, an order or a requisition, be taken up again."""
        if refusal := self._refusal(person, Right.OPERATE):
            return refusal
        return await self._ordering(subject, self._purchasing.release(subject, _person(person, method)))

    async def _answered(self, number: str, answer: HandAnswer, actor: Actor) -> Act:
        database, owner = self._purchasing.database, self._purchasing.owner
        async with database.read() as tx:
            stored = await load(tx, owner, number)
        if stored.state in (OrderState.UNKNOWN, OrderState.NEEDS_PERSON) and answer.reply in _FOUND_OUT:
            return await self._purchasing.resolve(number, _FOUND_OUT[answer.reply], actor, answer.reason)
        if answer.reply is HandReply.SETTLED:
            return await self._purchasing.settle(number, actor, answer.reason, answer.total)
        if answer.reply is HandReply.PARTLY:
            return await self._purchasing.accept_part(number, actor, answer.reason)
        if answer.reply not in _REPLIES:
            return Act(False, "NOT_RESOLVABLE", {"order": number, "state": str(stored.state)})
        async with database.write() as tx:
            response = await enter_answer(
                tx,
                owner,
                stored.order,
                actor,
                self._clock(),
                reply=_REPLIES[answer.reply],
                total=answer.total,
                promised_at=answer.promised_at,
                supplier_reference=answer.supplier_reference,
                reason=answer.reason,
            )
        return await self._purchasing.answered(response, actor)

    async def received(
        self, number: str, quantities: Mapping[int, Decimal] | None, person: str, method: str
    ) -> Outcome:
        """Enter that goods arrived and were checked: quantities by line, or None for everything ordered."""
        if refusal := self._refusal(person, Right.OPERATE):
            return refusal
        return await self._ordering(number, self._purchasing.received(number, quantities, _person(person, method)))

    async def reading(self, component: str, value: str, person: str, method: str, *, clock: str = "") -> Outcome:
        """Enter what a person read off a component, such as `1234 h` or `2.8 mm/s`, of the clock that it fits."""
        if refusal := self._refusal(person, Right.OPERATE) or self._stranger(component):
            return refusal
        try:
            settings, units = self._config.components[component], self._units(component)
            name, number = clock_read(settings, units, Measure.parse(value), clock)
            await self._lives.reading_by(component, number, _person(person, method), name)
        except ValueError as error:
            return Outcome(False, "READING_REFUSED", str(error))
        self._board.tell({"needs"})
        sentence = _("{component}: {value} was entered.")
        return Outcome(True, "READING_ENTERED", sentence.format(component=component, value=value))

    async def fitted(
        self, component: str, serial: str, used: str | None, note: str, person: str, method: str, *, found: str = ""
    ) -> Outcome:
        """Enter that a part was fitted, what it had run before, and how the part before was found."""
        if refusal := self._refusal(person, Right.OPERATE) or self._stranger(component):
            return refusal
        try:
            settings, units = self._config.components[component], self._units(component)
            before = None if used is None else use_before(settings, units, Measure.parse(used))
        except ValueError as error:
            return Outcome(False, "USE_REFUSED", str(error))
        if found and found not in set(Found):
            sentence = _("{found} is nothing that is found; there are {known}. Nothing was entered.")
            known = ", ".join(Found)
            return Outcome(False, "FOUND_REFUSED", sentence.format(found=repr(found), known=known))
        said = Found(found) if found else None
        await self._lives.fitted_by(component, _person(person, method), serial, before, note, said)
        self._board.tell({"needs", "orders"})
        return Outcome(True, "FITTED", _("{component}: the next life has begun.").format(component=component))

    async def symptom(self, component: str, said: str, person: str, method: str) -> Outcome:
        """Enter what a person sees, hears or smells of a component, in the words of the config's table or their own."""
        if refusal := self._refusal(person, Right.OPERATE) or self._stranger(component):
            return refusal
        table = table_for(component, self._config.file.symptoms)
        try:
            typed = in_words(said)
            known = recognised(table, typed)
            words, actor = known or typed, _person(person, method)
            kept = await self._lives.report_by(component, words, actor, own_words=known is None)
        except ValueError as error:
            return Outcome(False, "SYMPTOM_REFUSED", _("{reason}. Nothing was entered.").format(reason=error))
        if not kept:
            sentence = _("{component}: “{said}” is reported already; nothing changed.")
            return Outcome(False, "SYMPTOM_KNOWN", sentence.format(component=component, said=words))
        self._board.tell({"needs"})
        if known is not None:
            sentence = _("{component}: “{said}” was entered.")
            return Outcome(True, "SYMPTOM_ENTERED", sentence.format(component=component, said=known))
        return Outcome(True, "SYMPTOM_NOTED", _noted(component, words, nearest(table, words)))

    async def symptom_over(self, component: str, said: str, person: str, method: str) -> Outcome:
        """Take back what was entered so: it is over, or never was."""
        if refusal := self._refusal(person, Right.OPERATE) or self._stranger(component):
            return refusal
        table, sentence = table_for(component, self._config.file.symptoms), _("{component}: nobody reports “{said}”.")
        with suppress(ValueError):
            said = in_words(said)
            own_words = recognised(table, said) is None
            if await self._lives.take_back(component, said, _person(person, method), own_words=own_words):
                self._board.tell({"needs"})
                sentence = _("{component}: “{said}” was taken back.")
                return Outcome(True, "SYMPTOM_TAKEN_BACK", sentence.format(component=component, said=said))
        return Outcome(False, "SYMPTOM_UNKNOWN", sentence.format(component=component, said=said))

    async def stock(self, item: str, quantity: str, person: str, method: str) -> Outcome:
        """Enter how many of an item are on the shelf, as counted."""
        if refusal := self._refusal(person, Right.OPERATE):
            return refusal
        known = self._config.catalogue.get(item)
        if known is None:
            return Outcome(False, "ITEM_UNKNOWN", _("There is no item {item} in the config.").format(item=item))
        try:
            async with self._purchasing.database.write() as tx:
                await stock.count(
                    tx,
                    self._purchasing.owner,
                    item,
                    to_decimal(quantity.split()[0] if quantity.split() else ""),
                    known.unit,
                    _person(person, method),
                    self._clock(),
                )
        except ValueError as error:
            return Outcome(False, "STOCK_REFUSED", str(error))
        return Outcome(
            True, "STOCK_COUNTED", _("{item}: {quantity} on the shelf.").format(item=item, quantity=quantity)
        )

    async def prices(self, supplier: str, text: str, person: str, method: str) -> Outcome:
        """Enter the prices of a supplier who is asked by hand, given as the text of a CSV file."""
        if refusal := self._refusal(person, Right.OPERATE):
            return refusal
        settings = self._config.suppliers.get(supplier)
        if settings is None or settings.adapter != "by_hand":
            sentence = _("{supplier} is no supplier who is asked by hand; nothing was entered.")
            return Outcome(False, "SUPPLIER_UNKNOWN", sentence.format(supplier=supplier))
        listed = read_price_list(text, self._config.catalogue, zone=self._config.zone)
        if listed.faults:
            return Outcome(False, "PRICES_REFUSED", "\n".join(str(fault) for fault in listed.faults[:20]))
        async with self._purchasing.database.write() as tx:
            entered = await enter_prices(
                tx, self._purchasing.owner, supplier, listed.rows, _person(person, method), self._clock()
            )
        return Outcome(True, "PRICES_ENTERED", _("{count} prices were entered.").format(count=entered))

    async def stop(self, kind: str, key: str, reason: str, person: str, method: str) -> Outcome:
        """Stop buying for the plant (no key), a machine, a supplier or a component; what was not sent is off."""
        outcome = await self._halting.stop(kind, key, reason, _person(person, method))
        self._board.tell({"orders", "needs"})
        return outcome

    async def resume(self, kind: str, key: str, reason: str, person: str, method: str) -> Outcome:
        """Lift the stop of exactly this scope; what waited for it is taken up at the next pass."""
        outcome = await self._halting.resume(kind, key, reason, _person(person, method))
        if outcome.ok:
            await self._purchasing.reconsider()
        self._board.tell({"orders", "needs"})
        return outcome

    async def acknowledge(self, alarm: str, note: str, person: str, method: str) -> Outcome:
        """Say that an alarm was seen: one about money stops nothing then, one about a condition never does."""
        if self._alarms is not None and self._alarms.knows(alarm):
            return self._refusal(person, Right.OPERATE) or await self._alarms.acknowledge(alarm, note, person)
        outcome = await self._halting.acknowledge(alarm, note, _person(person, method))
        self._board.tell({"orders"})
        return outcome

    async def shelve(self, alarm: str, span: str, reason: str, person: str, method: str) -> Outcome:
        """Put a condition alarm aside for a span such as `8 h`, saying why; it comes back by itself."""
        if refusal := self._refusal(person, Right.OPERATE):
            return refusal
        if self._alarms is None:
            return _no_alarm()
        try:
            length = Measure.parse(span).duration
        except ValueError:
            sentence = _("{span} is no span of time, such as '8 h' or '2 d'; nothing changed.")
            return Outcome(False, "SPAN_REFUSED", sentence.format(span=span))
        return await self._alarms.shelve(alarm, length, reason, person)

    async def unshelve(self, alarm: str, person: str, method: str) -> Outcome:
        """Take a condition alarm from the shelf before its time."""
        if refusal := self._refusal(person, Right.OPERATE):
            return refusal
        return _no_alarm() if self._alarms is None else await self._alarms.unshelve(alarm, person)

    async def policy_apply(self, text: str, person: str, method: str) -> Outcome:
        """Put a policy, given as the text of its file, into force."""
        try:
            file, _policy = parse_policy(text, self._config)
            async with self._purchasing.database.write() as tx:
                version = await gate.apply_policy(
                    tx, self._purchasing.owner, file.data, self._approver(person), self._clock(), method=method
                )
        except (Mistakes, PolicyRefused) as error:
            return Outcome(False, "POLICY_REFUSED", str(error))
        await self._purchasing.reconsider()
        self._board.tell({"orders", "needs"})
        return Outcome(True, "POLICY_APPLIED", _("Policy version {version} is in force.").format(version=version))

    async def clock_accept(self, person: str, method: str) -> Outcome:
        """Say that plant time is right although it has jumped; limits elapse by it from now on."""
        async with self._purchasing.database.write() as tx:
            done = await gate.accept_clock(
                tx, self._purchasing.owner, self._approver(person), self._clock(), method=method
            )
        return Outcome(done.rule == "CLOCK_ACCEPTED", done.rule, sentences.sentence(done.rule, done.parameters))

    async def audit_rotate(self, person: str, method: str) -> Outcome:
        """Put a new key in the place of the one that signs the audit log; the old one hands over."""
        if refusal := self._refusal(person, Right.APPLY_POLICY):
            return refusal
        try:
            key = await self._auditing.rotate(_person(person, method))
        except (KeyUnreadable, AuditBroken, NoteBroken) as error:
            return Outcome(False, "AUDIT_KEY_NOT_ROTATED", str(error))
        sentence = _(
            "The audit log is signed with a new key from now on; witnesses follow it, auditors may keep it: {key}"
        )
        return Outcome(True, "AUDIT_KEY_ROTATED", sentence.format(key=key))

    async def trust(self, connection: str, fingerprint: str, verdict: str, person: str, method: str) -> Outcome:
        """Let a machine's server in by its certificate, or throw it out.

        What comes from a pinned server may spend without a person, so to pin takes the right to apply a policy.
        """
        needed = Right.APPLY_POLICY if verdict == "pinned" else Right.OPERATE
        if refusal := self._refusal(person, needed):
            return refusal
        if self.trusting is None:
            return Outcome(False, "NO_CONNECTIONS", _("This gateway speaks to no machines; nothing changed."))
        return await self.trusting.judge(connection, fingerprint, verdict, _person(person, method))

    async def reload(self, person: str, method: str) -> Outcome:
        """Read the config again and apply what differs; what stays the same sees nothing of it."""
        if refusal := self._refusal(person, Right.OPERATE):
            return refusal
        if self.reloading is None:
            return Outcome(False, "NO_CONFIG", _("This gateway has no config to read again; nothing changed."))
        return await self.reloading(_person(person, method))

    async def confirm_restore(self, person: str, method: str, *, new_epoch: bool = False) -> Outcome:
        """Let buying go on after a restore, having read what was lost; the log in a new epoch, if a witness objects."""
        if refusal := self._refusal(person, Right.APPLY_POLICY):
            return refusal
        actor = _person(person, method)
        begun = await self._new_epoch(actor) if new_epoch else None
        if begun is not None and (not begun.ok or self._restoration.confirmed):
            return begun
        done = await self._restoration.confirm(actor)
        self._board.tell({"orders", "needs"})
        sentence = sentences.sentence(done.code, done.parameters)
        return Outcome(done.ok, done.code, f"{begun.message} {sentence}" if begun else sentence)

    async def _new_epoch(self, actor: Actor) -> Outcome:
        """Begin a new epoch of the log while what was restored is fresh and a witness objects."""
        entries, code = self._restoration.lost_from()
        if entries is None:
            return Outcome(False, code, sentences.sentence(code, {}))
        try:
            key = await self._auditing.begin_epoch(actor, entries)
        except (KeyUnreadable, AuditBroken, NoteBroken) as error:
            sentence = _(
                "No new epoch was begun, because the key that the log was signed with must hand it over: {reason}. Put "
                "that key's file back, or restore a backup that was made '--with-key'; nothing changed."
            )
            return Outcome(False, "EPOCH_NOT_BEGUN", sentence.format(reason=error))
        if key is None:
            sentence = _("No witness has seen entries that are lost, so the log needs no new epoch; nothing changed.")
            return Outcome(False, "NO_WITNESS_OBJECTS", sentence)
        sentence = _(
            "The log goes on in a new epoch, and says what is lost. Buying waits until the owner of each witness "
            "has taken one more log, with '--log' or under 'audit.serve.logs': {key}"
        )
        return Outcome(True, "EPOCH_BEGUN", sentence.format(key=key))

    async def _ordering(self, number: str, act: Awaitable[Act]) -> Outcome:
        try:
            done = await act
        except OrderUnknown:
            return Outcome(False, "ORDER_UNKNOWN", _("There is no order {number}.").format(number=number))
        except OrderBroken as error:
            return Outcome(False, "ORDER_BROKEN", str(error))
        except ValueError as error:
            return Outcome(False, "REFUSED", str(error))
        self._board.tell({"orders"})
        return Outcome(done.ok, done.code, sentences.sentence(done.code, done.parameters))

    def _approver(self, person: str) -> Approver:
        settings = self._config.people.get(person)
        rights = settings.may if settings else frozenset()
        limit = settings.approval_limit if settings else None
        return Approver(person, Right.APPROVE in rights, limit, Right.APPLY_POLICY in rights)

    def _refusal(self, person: str, right: Right) -> Outcome | None:
        settings = self._config.people.get(person)
        if settings is not None and right in settings.may:
            return None
        sentence = _(
            "{person} may not do this; the config gives that right under people.{person}.may. Nothing changed."
        )
        return Outcome(False, "NOT_AUTHORISED", sentence.format(person=person))

    def _stranger(self, component: str) -> Outcome | None:
        if component in self._config.components:
            return None
        sentence = _("There is no component {component} in the config; it is written machine/component.")
        return Outcome(False, "COMPONENT_UNKNOWN", sentence.format(component=component))

    def _units(self, component: str) -> dict[str, str]:
        return self._config.units_of(component.partition("/")[0])


def _noted(component: str, said: str, near: Sequence[str]) -> str:
    """Return that a symptom is a note, and what of the table was perhaps meant."""
    sentence = _(
        "{component}: “{said}” was noted, but the symptoms of the config do not know it, so it chooses no job."
    ).format(component=component, said=said)
    if not near:
        return sentence
    meant = _("If one of these was meant, report that and take the note back: {near}.")
    return f"{sentence} {meant.format(near=', '.join(near))}"


def _no_alarm() -> Outcome:
    return Outcome(False, "ALARM_UNKNOWN", _("No such alarm is open. Nothing changed."))


def _person(person: str, method: str) -> Actor:
    return Actor(ActorKind.PERSON, person, method)
