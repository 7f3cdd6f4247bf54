"""The composition root: a config becomes a running gateway, and a signal ends it cleanly.

Everything is made here, in the order in which it depends on each other, and ended in the opposite order. Start-up after
a crash is the same as any start: databases are checked, the monitor goes on from its snapshot, and one reconciliation
pass takes up whatever was open. The gateway is ready once page and socket answer and its tasks run.

A signal to stop is heeded from the first moment on, and within five seconds whatever hangs: everything that may not
be lost is durable before it is done, so whatever is cut off is taken up by the next start.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from connectors.backlog import Backlog, Reader
from connectors.connector import Connector, WallClocked
from connectors.counters import Counters
from connectors.samples import Sample, wholes
from connectors.settings import connector_types
from connectors.supervisor import Supervisor
from gateway import VERSION, doors, i18n
from gateway.alarm_watch import LOOK_EVERY, AlarmWatch, plan_of
from gateway.attestation import CannotAttest, attested
from gateway.auditing import Auditing
from gateway.buying import BuyingState, Cause
from gateway.clock import Clock, JumpWatch, real
from gateway.config import Config, load
from gateway.control import Door
from gateway.conversations import Conversations
from gateway.databases import Databases, open_databases, require_owner, telemetry_file
from gateway.halting import Halting
from gateway.historian import READER, Historian
from gateway.learning.retraining import retrained
from gateway.learning.service import Learning, curriculum
from gateway.live import Board
from gateway.lives import Lives, first_lives
from gateway.marks import Mark, RolledBack, mark_file, read_mark, require_not_older, save_mark
from gateway.metrics import Counted, exposition
from gateway.money_watch import MoneyWatch
from gateway.operations import Operations
from gateway.pipeline import Pipeline, Site
from gateway.reload import reload, watched
from gateway.restoration import Restoration
from gateway.schedule import Schedule
from gateway.self_description import with_adopted
from gateway.settings import BackupSettings, ComponentConfig
from gateway.stop_file import StopFile
from gateway.stopping import at_last, leave_in_time
from gateway.storage import Storage, StorageBroken
from gateway.trusting import Trusting
from gateway.web.context import MachineInfo, WebContext
from gateway.yaml_file import Mistakes
from maintenance import history
from maintenance import store as telemetry_store
from maintenance.monitor import Monitor
from marketplace.audit.actor import Actor, ActorKind
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.reconciliation import Reconciliation
from marketplace.ordering.stopping import Stopping
from marketplace.ordering.terms import PurchasingTerms
from marketplace.settings import SecretMissing, supplier_type
from marketplace.suppliers.outbound import client_session
from marketplace.suppliers.supplier import Supplier, SupplierContext

if TYPE_CHECKING:  # loaded only where a gateway is a shadow
    from gateway.shadow import Shadow

log = structlog.get_logger()

RECONCILE_EVERY = timedelta(seconds=30)
"""A person who looks at an order shall not be behind the supplier by more; a pass over nothing costs two queries."""
SNAPSHOT_EVERY = timedelta(minutes=5)
"""What a crash forgets of the monitor; the machines tell it again."""
SIGN_EVERY = timedelta(minutes=1)
"""What a thief of the whole computer could still cut off unseen; nothing is signed or sent while nothing happens."""
MARK_EVERY = RECONCILE_EVERY
"""What an older file, swapped in after a crash, could pass unnoticed here; the witness sees more."""
FORGET_EVERY = timedelta(hours=6)
CERTIFICATES_EVERY = timedelta(hours=6)
"""Of the wall: the last warning comes a day before the end, and is not to come late in that day."""


@dataclass(frozen=True, slots=True)
class Around:
    """What is put around the spend database and each supplier once they are made. A site puts nothing there.

    It is how a test cuts the power between any two steps of a purchase while the product knows nothing of it.
    """

    spend: Callable[[Storage], Storage] = lambda storage: storage
    supplier: Callable[[Supplier], Supplier] = lambda supplier: supplier


NOTHING = Around()


class CannotStart(Exception):
    """The gateway did not start; `str()` is the one sentence that says why and what to do."""


@dataclass(slots=True)
class Gateway:
    """A gateway, whole; `address` is where its page is."""

    config: Config
    databases: Databases
    monitor: Monitor
    board: Board
    backlog: Backlog
    reader: Reader
    historian: Historian
    counters: dict[str, Counters]
    pipeline: Pipeline
    purchasing: Purchasing
    reconciliation: Reconciliation
    operations: Operations
    stopping: Stopping
    stop_file: StopFile
    auditing: Auditing
    money_watch: MoneyWatch
    schedule: Schedule
    clock: Clock
    speed: float
    buying: BuyingState
    restoration: Restoration
    mark: Mark
    halting: Halting
    alarms: AlarmWatch
    machines: dict[str, MachineInfo]
    learning: Learning
    shadow: Shadow | None = None
    conversations: Conversations = field(init=False)
    trusting: Trusting = field(init=False)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    components: dict[str, ComponentConfig] = field(default_factory=dict)
    ready: bool = False
    address: str = ""

    def status(self) -> dict[str, Any]:
        """Return what the gateway says of itself."""
        return {
            "ready": self.ready,
            "version": VERSION,
            "address": self.address,
            "plant_time": self.clock().isoformat(timespec="seconds"),
            "buying": self.buying.sentence or "on",
            "samples": self.pipeline.samples,
            "audit": self.auditing.trouble or "signed",
            "connections": {link.name: link.connected for link in self.board.links()},
            "restored": self.restoration.told(),
            "certificates": list(self.trusting.warnings),
            "estimates": self.config.untold,
        } | ({} if self.shadow is None else {"shadow": self.shadow.purchases})

    def __post_init__(self) -> None:
        self.conversations = Conversations(partial(_supervisor, self))
        self.operations.reloading = partial(reload, self)
        self.trusting = Trusting(lambda: self.config, self.databases.spend, self.clock, real, self.begin_anew)
        self.operations.trusting = self.trusting
        self.learning.changed = self._told_anew
        self._told_anew()

    def reconfigure(self, config: Config) -> None:
        """Judge, carry and show by another config from now on; see `gateway.reload` for what may differ."""
        self.config = config
        self.pipeline.reconfigure(_site(config))
        self.pipeline.lives.reconfigure(config.components)
        self.purchasing.open_in(config.windows)
        self.operations.reconfigure(config)
        self.halting.reconfigure(config)
        self.alarms.reconfigure(plan_of(config))
        if self.shadow is not None:
            from gateway.plants import plant_of

            self.shadow.reconfigure(plant_of(config))
        self._told_anew()

    def _told_anew(self) -> None:
        """Show machines by what the config says, and by what timing has learned."""
        self.machines.clear()
        self.machines.update(doors.machines_of(self.config, self.learning.patience))
        self.components.clear()
        self.components.update(self.config.components)

    async def begin_anew(self, connection: str) -> None:
        """End the conversation of a connection and begin it at once, unless it is gone from the config."""
        async with self.changing:
            await self.conversations.again(connection)

    async def sign_audit(self) -> str:
        """Sign the audit log as it stands; returns why it could not be, empty when it was."""
        await self.auditing.run_once()
        return self.auditing.trouble


@asynccontextmanager
async def open_gateway(
    config: Config, *, clock: Clock = real, speed: float = 1.0, around: Around = NOTHING
) -> AsyncIterator[Gateway]:
    """Run a gateway for as long as it is entered. Raises `CannotStart`, `StorageBroken`.

    `clock` is plant time and `speed` how much faster than the wall it runs; a site leaves all three as they are.
    """
    i18n.activate(config.site.language)
    config = await with_adopted(config)
    async with AsyncExitStack() as stack:
        buying = BuyingState()
        opened = await stack.enter_async_context(open_databases(config.directory, buying))
        databases = Databases(around.spend(opened.spend), opened.telemetry)
        await require_owner(databases.spend, config.owner)
        gateway = await _compose(Ground(config, databases, stack, clock, speed, buying, around))
        await gateway.stop_file.look()  # before any door is open and any task runs: nothing may have been sent yet
        await gateway.money_watch.begin()
        await _open_doors(gateway, stack)
        _go_to_work(gateway, stack)
        gateway.ready = True
        log.info("ready", address=gateway.address, plant=config.site.plant)
        try:
            yield gateway
        finally:
            gateway.ready = False


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything is made on; `stack` ends what must be ended."""

    config: Config
    databases: Databases
    stack: AsyncExitStack
    clock: Clock
    speed: float
    buying: BuyingState
    around: Around


async def _compose(ground: Ground) -> Gateway:
    """Make everything that has neither door nor task yet."""
    config, databases, clock, buying = ground.config, ground.databases, ground.clock, ground.buying
    if config.file.shadow:
        buying.be_shadow()
    mark = await _not_older(config, databases)
    monitor = await _monitor(config, databases, clock)
    purchasing = await _purchasing(ground)
    restoration = Restoration(config.directory, buying, purchasing, clock)
    await restoration.begin()
    lives, learning = await _lives(ground, monitor)
    board, schedule = await _board(config, databases), Schedule(ground.speed)
    tell = partial(board.tell, {"orders", "needs"})
    stopping, stop_file, halting = _halts(ground, tell)
    auditing = await _auditing(ground)
    backlog, historian, reader = await _samples(ground)
    alarms = await _alarms(ground, monitor, board, restoration)
    shadow = _shadow(config, monitor)
    pipeline = Pipeline(
        _site(config),
        databases,
        monitor,
        board,
        backlog,
        lives,
        purchasing,
        clock,
        careful=lambda: restoration.careful,
        alarms=alarms,
        learning=learning,
        shadow=shadow,
    )
    await pipeline.resume()
    return Gateway(
        config,
        databases,
        monitor,
        board,
        backlog,
        reader,
        historian,
        {name: Counters() for name in config.connections},
        pipeline,
        purchasing,
        Reconciliation(purchasing),
        Operations(config, purchasing, lives, board, halting, auditing, restoration, clock, alarms),
        stopping,
        stop_file,
        auditing,
        MoneyWatch(stopping, JumpWatch(clock, ground.speed), config.file.alarms.terms(), tell),
        schedule,
        clock,
        ground.speed,
        buying,
        restoration,
        mark,
        halting,
        alarms,
        doors.machines_of(config, learning.patience),
        learning,
        shadow,
    )


async def _purchasing(ground: Ground) -> Purchasing:
    """Make what buys, with every supplier of the config. Raises `CannotStart`."""
    config, buying = ground.config, ground.buying
    made = await _suppliers(config, ground.databases, ground.stack, ground.clock)
    return Purchasing(
        ground.databases.spend,
        config.owner,
        {name: ground.around.supplier(supplier) for name, supplier in made.items()},
        config.catalogue,
        _terms(config, ground.speed),
        ground.clock,
        held=lambda: buying.stopped,
    )


async def _lives(ground: Ground, monitor: Monitor) -> tuple[Lives, Learning]:
    """Make what knows the part in each slot, and what learns from those that were."""
    config, databases, clock = ground.config, ground.databases, ground.clock
    lives = Lives(databases.spend, config.owner, monitor, config.components, clock)
    retraining = partial(retrained, telemetry_file(config.directory))
    learning = Learning(databases, config.owner, monitor, curriculum(config), clock, retraining)
    lives.ending, lives.ended = learning.ending, learning.ended
    await lives.recall()
    await learning.begin()
    return lives, learning


def _halts(ground: Ground, tell: Callable[[], None]) -> tuple[Stopping, StopFile, Halting]:
    """Make the ways to stop: by command and page, and by a file."""
    config = ground.config
    stopping = Stopping(ground.databases.spend, config.owner, ground.clock)
    stop_file = StopFile(config.directory, lambda scope: halting.knows(scope), stopping, tell)
    halting = Halting(config, stopping, stop_file)
    return stopping, stop_file, halting


async def _auditing(ground: Ground) -> Auditing:
    """Make what signs the audit log. Raises `CannotStart`."""
    try:
        return await attested(ground.config, ground.databases, ground.stack, ground.clock, ground.buying)
    except CannotAttest as error:
        raise CannotStart(str(error)) from error


async def _samples(ground: Ground) -> tuple[Backlog, Historian, Reader]:
    """Make what samples go through on their way into the telemetry store."""
    backlog = Backlog(ground.config.directory / "backlog", clock=real)
    ground.stack.push_async_callback(backlog.close)
    historian = Historian(ground.databases.telemetry, ground.config.file.storage.samples_max)
    return backlog, historian, await backlog.reader(READER, await historian.mark())


def _shadow(config: Config, monitor: Monitor) -> Shadow | None:
    """Make what keeps what would be bought, where nothing is; loaded only there."""
    if not config.file.shadow:
        return None
    from gateway.plants import plant_of
    from gateway.shadow import Shadow

    return Shadow(config.directory, plant_of(config), monitor)


async def _alarms(ground: Ground, monitor: Monitor, board: Board, restoration: Restoration) -> AlarmWatch:
    """Make what tells people what is wrong."""
    buying = ground.buying
    alarms = AlarmWatch(
        plan_of(ground.config),
        ground.databases.telemetry,
        ground.databases.spend,
        monitor,
        board,
        ground.clock,
        careful=lambda: restoration.careful or buying.stopped,
    )
    await alarms.begin()
    return alarms


async def _not_older(config: Config, databases: Databases) -> Mark:
    """Return how far the spend database has come. Raises `StorageBroken` when an older one was put in its place."""
    try:
        async with databases.spend.read() as tx:
            return await require_not_older(tx, config.owner, mark_file(config.directory))
    except RolledBack as error:
        raise StorageBroken(str(error)) from error


def _site(config: Config) -> Site:
    tags = {name: config.heard_over(name) for name in config.connections}
    bands = {key: tag.band for key, tag in config.tags.items()}
    absolute = {key: band.value for key, band in bands.items() if band is not None and not band.percent}
    timing, computed = config.file.timing, config.computed()
    circumstances, estimates = doors.circumstances_of(config), config.estimated
    return Site(config.owner, config.components, tags, timing, absolute, computed, circumstances, estimates)


async def _board(config: Config, databases: Databases) -> Board:
    """Show what every tag said last, before the gateway ended, as what may no longer be true."""
    board = Board()
    async with databases.telemetry.read() as tx:
        last = await history.load_latest(tx)
    speakers = {tag: name for name in config.connections for tag in config.heard_over(name)}
    said: dict[str, list[Sample]] = {}
    for sample in last:
        name = next((speakers[each] for each in wholes(sample.tag) if each in speakers), None)
        if name is not None:
            said.setdefault(name, []).append(sample)
    for name, samples in said.items():
        board.recall(name, samples)
    return board


async def _monitor(config: Config, databases: Databases, clock: Clock) -> Monitor:
    """Watch every component with the life that is in it, going on from the last snapshot."""
    lives = await first_lives(databases.spend, config.owner, config.components, clock())
    monitor = Monitor(watched(config), lives)
    async with databases.telemetry.read() as tx:
        begun_anew = monitor.restore(await telemetry_store.load_snapshots(tx))
    if begun_anew:
        log.info("the config has changed; these components are learned anew", components=begun_anew)
    return monitor


async def _suppliers(config: Config, databases: Databases, stack: AsyncExitStack, clock: Clock) -> dict[str, Supplier]:
    if not config.suppliers or config.file.shadow:  # whom a shadow does not know it cannot reach
        return {}
    network = config.file.network
    session = client_session(
        allow_private_targets=network.allow_private_targets,
        proxy=network.proxy,
        certificate_authority=config.base / network.certificate_authority if network.certificate_authority else None,
    )
    stack.push_async_callback(session.close)
    context = SupplierContext(databases.spend, config.owner, clock, config.base, session, network.allow_private_targets)
    suppliers = {}
    for name, settings in config.suppliers.items():
        try:
            suppliers[name] = supplier_type(settings.adapter).build(name, settings, context)
        except SecretMissing as error:
            raise CannotStart(_("supplier {name}: {reason}").format(name=name, reason=error)) from error
        stack.push_async_callback(suppliers[name].close)
    return suppliers


def _terms(config: Config, speed: float) -> PurchasingTerms:
    """Return the plant's terms; what bounds the wire alone is wall time and stretches where plant time runs faster."""
    usual = PurchasingTerms(config.site.currency, config.site.country, config.file.organisation.delivery())
    timing = config.file.timing
    return PurchasingTerms(
        currency=usual.currency,
        country=usual.country,
        delivery=usual.delivery,
        accounts={name: settings.account for name, settings in config.suppliers.items()},
        approval=timing.approval,
        quote_deadline=timing.quote_deadline,
        permit_lasts=usual.permit_lasts * speed,
        send_within=usual.send_within * speed,
        ask_again=usual.ask_again * speed if speed == 1 else usual.requote_after,
        unknown_max=usual.unknown_max * speed,
        alarms=config.file.alarms.terms(),
        answer_within=usual.answer_within * speed,
        cancel_within=usual.cancel_within * speed,
        software=VERSION,
        windows=config.windows,
    )


async def _open_doors(gateway: Gateway, stack: AsyncExitStack) -> None:
    config, databases = gateway.config, gateway.databases
    context = WebContext(
        title=config.site.name,
        owner=config.owner,
        machines=gateway.machines,
        names=doors.names_of(config),
        people=doors.people_of(config),
        spend=databases.spend,
        telemetry=databases.telemetry,
        actions=gateway.operations,
        live=gateway.board,
        time_zone=config.zone,
        currency=config.site.currency,
        clock=gateway.clock,
        wall_clock=real,
        metrics=lambda: exposition(_counted(gateway)),
        ready=lambda: (gateway.ready, "" if gateway.ready else _("the gateway is starting or stopping")),
        troubles=lambda: _troubles(gateway),
        certificates=lambda: gateway.trusting.warnings,
        buying=lambda: gateway.buying.sentence,
        alarms=gateway.alarms.overview,
        hosts=doors.hosts_of(config),
        peers=doors.peers_of(config),
        public_origin=config.file.web.public_url or "",
        secure=bool(config.file.web.certificate) or (config.file.web.public_url or "").startswith("https"),
        speed=gateway.speed,
        language=config.site.language,
        settings=gateway.components,
        circumstances=lambda: doors.circumstances_of(gateway.config),
        advised=lambda: gateway.pipeline.advised,
        shadow=None if gateway.shadow is None else gateway.shadow.seen,
    )
    links = doors.link_maker(config, databases.spend, lambda: gateway.address)
    door = Door(gateway.operations, config.persons_of, links, gateway.status, gateway.sign_audit)
    try:
        gateway.address = await doors.open_page(config, context, stack)
        await doors.open_socket(config, door, stack)
    except doors.DoorStuck as error:
        raise CannotStart(str(error)) from error


def _go_to_work(gateway: Gateway, stack: AsyncExitStack) -> None:
    """Start every task; the stack ends them in the opposite order, connections before the backlog."""
    _in_background(stack, gateway.stop_file.run(), "stop file")
    _in_background(stack, gateway.reader.forward(gateway.historian.store), "backlog")
    stack.push_async_callback(at_last, gateway.backlog.drain, "samples")
    gateway.conversations.begin(gateway.config.connections)
    stack.push_async_callback(gateway.conversations.end)
    schedule, pipeline = gateway.schedule, gateway.pipeline
    _in_background(stack, gateway.learning.run(), "learning")
    schedule.every(gateway.config.file.timing.step, "decide", pipeline.decide)
    schedule.every(LOOK_EVERY, "look after alarms", gateway.alarms.look_at_connections)
    schedule.every(RECONCILE_EVERY, "reconcile", partial(_reconcile, gateway))
    schedule.every(SIGN_EVERY, "sign the audit log", gateway.auditing.run_once)
    schedule.every(SNAPSHOT_EVERY, "snapshot", pipeline.keep_snapshots)
    schedule.every(MARK_EVERY, "mark", partial(_keep_mark, gateway))
    schedule.every(FORGET_EVERY, "forget", partial(_forget, gateway))
    schedule.every(CERTIFICATES_EVERY * gateway.speed, "look at certificates", gateway.trusting.look)
    if backup := gateway.config.file.storage.backup:
        schedule.every(backup.every, "backup", partial(_back_up, gateway, backup))
    schedule.start()
    stack.push_async_callback(at_last, pipeline.keep_snapshots, "snapshot")
    stack.push_async_callback(at_last, partial(_keep_mark, gateway), "mark")
    stack.push_async_callback(schedule.stop)
    _in_background(stack, _take_up(gateway), "take up what was open")


async def _take_up(gateway: Gateway) -> None:
    """What the schedule would do at its first turn, at once: recovery is the ordinary path."""
    try:
        await _reconcile(gateway)
        await gateway.pipeline.decide()
    except Exception:
        log.exception("what was open could not be taken up at once; the schedule tries again")
    await _look_at_certificates(gateway)


async def _look_at_certificates(gateway: Gateway) -> None:
    try:
        await gateway.trusting.look()
    except Exception:
        log.exception("certificates could not be looked at; the schedule tries again")


async def _keep_mark(gateway: Gateway) -> None:
    """Keep beside the spend database how far it has come, unless it cannot be trusted any more."""
    if gateway.buying.is_stopped_by(Cause.BROKEN):
        return
    async with gateway.databases.spend.read() as tx:
        mark = await read_mark(tx, gateway.config.owner)
    path = mark_file(gateway.config.directory)
    if mark != gateway.mark or not path.exists():
        await asyncio.to_thread(save_mark, path, mark)
        gateway.mark = mark


async def _reconcile(gateway: Gateway) -> None:
    """Make a pass; while the disk refuses to be written, only try whether it still does."""
    buying = gateway.buying
    if buying.is_stopped_by(Cause.BROKEN):
        return
    if buying.is_stopped_by(Cause.REFUSED) and not await gateway.databases.spend.try_writing():
        return
    await gateway.money_watch.look()
    if gateway.shadow is not None:  # orders of before stay as they are: nobody is asked about them
        return
    done = await gateway.reconciliation.run_once()
    await gateway.restoration.look()
    if done.answers or done.orders or done.requisitions:
        gateway.board.tell({"orders"})


async def _forget(gateway: Gateway) -> None:
    storage = gateway.config.file.storage
    await gateway.historian.forget(gateway.clock() - storage.keep_samples)
    await gateway.learning.frames.forget(gateway.clock() - storage.keep_lives)


async def _back_up(gateway: Gateway, settings: BackupSettings) -> None:
    from gateway.backup import Source, scheduled_backup  # a site without backups does without its memory

    config = gateway.config
    source = Source(config.directory, config.path, config.policy_file, config.owner)
    directory = config.base / settings.directory
    made = await asyncio.to_thread(scheduled_backup, source, directory, settings.keep, gateway.clock())
    log.info("backed up", file=str(made))


def _supervisor(gateway: Gateway, name: str) -> Supervisor:
    # one certificate for all connections, and beside it what each server once offered
    state = gateway.config.connector_state
    state.mkdir(parents=True, exist_ok=True, mode=0o700)

    def connect() -> Connector:
        config = gateway.config  # as it is by now
        settings = config.connections[name]
        kind = connector_types()[settings.connector]
        made = kind(name, settings, config.tags_of(name), clock=gateway.clock, state=state)
        if isinstance(made, WallClocked):
            made.wall_clock = real
        return made

    return Supervisor(
        name,
        connect,
        gateway.pipeline.deliver,
        gateway.pipeline.notify,
        clock=gateway.clock,
        rng=random.Random(),
        counters=gateway.counters.setdefault(name, Counters()),
    )


def _troubles(gateway: Gateway) -> list[str]:
    """Return what does not work, without names: whoever asks need not be signed in."""
    links, told = gateway.board.links(), []
    if lost := sum(not link.connected for link in links):
        told.append(_("{lost} of {all} connections are lost").format(lost=lost, all=len(links)))
    if faults := sum(len(link.faults) for link in links):
        told.append(_("{faults} tags cannot be read").format(faults=faults))
    if gateway.trusting.warnings:
        told.append(_("certificates of connections want to be looked at: see the page, or 'toolcrib trust list'"))
    if gateway.reader.is_behind:
        told.append(_("samples cannot be stored; {depth} wait on disk").format(depth=gateway.backlog.depth))
    if gateway.backlog.is_failing:
        told.append(_("the backlog's disk takes nothing; samples wait in memory, and the oldest are lost"))
    return told


def _counted(gateway: Gateway) -> Counted:
    return Counted(
        gateway.pipeline,
        gateway.backlog,
        gateway.historian,
        gateway.counters,
        gateway.board,
        gateway.schedule,
        gateway.clock,
        gateway.alarms.overview,
        gateway.learning,
    )


def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


async def run_until_stopped(
    config: Config, *, clock: Clock = real, speed: float = 1.0, around: Around = NOTHING
) -> None:
    """Run a gateway until SIGINT or SIGTERM, at its start as well. Raises `CannotStart`, `StorageBroken`."""
    running = asyncio.create_task(_run_for_ever(config, clock, speed, around))
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:  # a second signal must not cut off the stopping itself
            stopping = True
            leave_in_time()
            running.cancel()

    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop)
    try:
        await running
    except asyncio.CancelledError:
        if not stopping:
            raise


async def _run_for_ever(config: Config, clock: Clock, speed: float, around: Around) -> None:
    async with open_gateway(config, clock=clock, speed=speed, around=around) as gateway:
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        while True:
            await asked.wait()
            asked.clear()
            done = await reload(gateway, Actor(ActorKind.GATEWAY, config.owner.gateway_id, "signal"))
            if not done.ok:
                log.error("the config was not reloaded", reason=done.message)


def run(path: Path, *, clock: Clock = real, speed: float = 1.0) -> int:
    """Run the gateway of a config; returns 0 when stopped, 1 when it cannot run, 2 for mistakes in the config."""
    from gateway.logs import configure

    configure()
    try:
        asyncio.run(run_until_stopped(load(path), clock=clock, speed=speed))
    except Mistakes as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (CannotStart, StorageBroken) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(_("cannot start: {reason}").format(reason=error) + "\n")
        return 1
    return 0
