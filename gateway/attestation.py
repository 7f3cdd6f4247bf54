"""The audit log's part of the composition root: its notary, its witnesses, and being a witness for others.

Made before any door is open: an older copy of the database is found out before anything is bought. What care the log
then gets is `gateway.auditing`'s; everything is ended with the stack that is handed in.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from gettext import gettext as _

import aiohttp
import structlog

from gateway.auditing import Alarm, Auditing
from gateway.buying import BuyingState
from gateway.clock import Clock, real
from gateway.config import Config
from gateway.databases import Databases
from gateway.settings import WitnessServiceSettings, WitnessSettings
from gateway.witnesses import FolderWay, HttpWay, serve
from marketplace.audit.attendance import Attendance, Way
from marketplace.audit.keys import KeyUnreadable
from marketplace.audit.notary import Notary
from marketplace.audit.note import VerifierKey
from marketplace.authority.alarms import AlarmCode, open_alarms, raise_alarm
from marketplace.authority.halts import PLANT
from marketplace.store import Database, Owner

log = structlog.get_logger()


class CannotAttest(Exception):
    """The log cannot be cared for as the config says; `str()` is the one sentence that says why and what to do."""


async def attested(
    config: Config, databases: Databases, stack: AsyncExitStack, clock: Clock, buying: BuyingState
) -> Auditing:
    """Sign the log as it is found and ask its witnesses about it, before anything is bought. Raises `CannotAttest`."""
    settings = config.file.audit
    if settings.serve is not None:
        await _serve_as_witness(config, settings.serve, stack)
    session = aiohttp.ClientSession()
    stack.push_async_callback(session.close)
    ways = [_way(config, each, session) for each in settings.witnesses]
    notary = Notary(databases.spend, config.owner, config.audit_key, clock)
    alarm = _audit_alarm(config, databases, clock)
    auditing = Auditing(notary, Attendance(databases.spend, config.owner, ways, clock), alarm, buying)
    stack.push_async_callback(auditing.finish)  # the last leaves, when everything else has stopped
    await auditing.begin(await objected(databases.spend, config.owner))
    return auditing


async def objected(database: Database, owner: Owner) -> str:
    """Return what a witness has objected, by an alarm that nobody has acknowledged yet; "" for nothing."""
    async with database.read() as tx:
        alarms = await open_alarms(tx, owner)
    return next((each.parameters["reason"] for each in alarms if each.code == AlarmCode.WITNESS_DISAGREES), "")


def _way(config: Config, settings: WitnessSettings, session: aiohttp.ClientSession) -> Way:
    key = VerifierKey.parse(settings.key)
    if settings.url is not None:
        return HttpWay(key, settings.url, session)
    assert settings.folder is not None  # one of the two, as the config was judged
    return FolderWay(key, config.base / settings.folder, f"{config.site.plant}.{config.site.gateway}")


async def _serve_as_witness(config: Config, settings: WitnessServiceSettings, stack: AsyncExitStack) -> None:
    """Listen as a witness for other gateways. Its state is this gateway's, its logs are theirs."""
    from marketplace.audit.witness import Witness

    try:
        logs = [VerifierKey.parse(each) for each in settings.logs]
        witness = Witness(config.directory / "witness", settings.name, logs)
        runner = await serve(witness, settings.bind, settings.port, lambda: int(real().timestamp()))
    except (KeyUnreadable, OSError) as error:
        raise CannotAttest(_("this gateway cannot be a witness: {reason}").format(reason=error)) from error
    stack.push_async_callback(runner.cleanup)
    log.info("witness for other gateways", key=str(witness.public), port=runner.addresses[0][1])


def _audit_alarm(config: Config, databases: Databases, clock: Clock) -> Alarm:
    """Return how to tell that a witness objects: a money alarm for the whole plant; buying waits by itself."""

    async def alarm(code: str, sentence: str) -> None:
        log.critical("the audit log is contradicted; buying waits", code=code, reason=sentence)
        figures, terms = {"reason": sentence[:200]}, config.file.alarms.terms()
        async with databases.spend.write() as tx:
            await raise_alarm(
                tx, config.owner, AlarmCode.WITNESS_DISAGREES, PLANT, code, clock(), parameters=figures, terms=terms
            )

    return alarm
