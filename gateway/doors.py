"""The doors of a gateway: the page and the control socket, with what each is told about the site.

Both act through the same `Actions` and read the same databases; neither knows how a gateway is put together.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from gettext import gettext as _

from aiohttp import web

from gateway import control
from gateway.clock import real
from gateway.config import Config
from gateway.settings import MachineSettings
from gateway.views.circumstances import Circumstances
from gateway.web import accounts
from gateway.web import app as page
from gateway.web.accounts import Account
from gateway.web.context import ComponentInfo, MachineInfo, Names, Network, TagInfo, WebContext
from maintenance.symptoms import choices, table_for
from marketplace.store import Database


class DoorStuck(Exception):
    """A door cannot be opened; `str()` says which, why, and what to do."""


Patience = Callable[[str], float]
"""The patience of timing for a component; see `TimingTerms`."""


def machines_of(config: Config, patience: Patience = lambda _component: 1.0) -> dict[str, MachineInfo]:
    """Return every machine as the page names it."""
    return {key: _machine(config, key, settings, patience) for key, settings in config.file.machines.items()}


def _machine(config: Config, key: str, settings: MachineSettings, patience: Patience) -> MachineInfo:
    units = config.units_of(key)
    return MachineInfo(
        key,
        settings.name,
        settings.connection or "",
        tuple(TagInfo(f"{key}/{tag}", unit) for tag, unit in units.items()),
        tuple(_component(config, f"{key}/{name}", patience) for name in settings.components),
    )


def _component(config: Config, key: str, patience: Patience) -> ComponentInfo:
    settings = config.components[key]
    terms = settings.terms(config.file.timing, patience(key))
    symptoms = choices(table_for(key, config.file.symptoms))
    return ComponentInfo(key, settings.name, terms, settings.stale_after.duration, symptoms)


def circumstances_of(config: Config) -> Circumstances:
    """Return what timing knows of the config besides each component's own terms."""
    return Circumstances(frozenset(config.suppliers), config.windows)


def people_of(config: Config) -> dict[str, Account]:
    """Return every named person as the page knows them."""
    return {
        key: Account(key, person.name, frozenset(right.value for right in person.may), person.approval_limit)
        for key, person in config.people.items()
    }


def names_of(config: Config) -> Names:
    """Return what keys are called."""
    suppliers = {key: settings.name for key, settings in config.suppliers.items()}
    return Names(suppliers, {key: item.description for key, item in config.catalogue.items()})


def hosts_of(config: Config) -> frozenset[str]:
    """Return the names by which the page may be asked for."""
    hosts = {"127.0.0.1", "localhost", "::1", *config.file.web.hosts}
    if config.file.web.public_url:
        hosts.add(config.file.web.public_url.partition("://")[2].partition(":")[0])
    if not ipaddress.ip_address(_numeric(config.file.web.bind)).is_unspecified:
        hosts.add(config.file.web.bind)
    return frozenset(hosts)


def peers_of(config: Config) -> tuple[Network, ...]:
    """Return who alone may ask besides this computer: the proxies, where the page is served to them in the clear."""
    settings = config.file.web
    if settings.loopback or settings.certificate is not None:
        return ()
    return tuple(ipaddress.ip_network(each) for each in settings.trusted_proxies)


def _numeric(bind: str) -> str:
    return "127.0.0.1" if bind == "localhost" else bind


async def open_page(config: Config, context: WebContext, stack: AsyncExitStack) -> str:
    """Serve the page until the stack ends and return its address. Raises `DoorStuck`."""
    settings = config.file.web
    tls = None
    try:
        if settings.certificate and settings.key:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(config.base / settings.certificate, config.base / settings.key)
        runner = await page.serve(context, settings.bind, settings.port, tls)
    except OSError as error:
        sentence = _("the page cannot be served on {bind}:{port} ({reason}); stop what uses it, or change web.port")
        reason = error.strerror or error
        raise DoorStuck(sentence.format(bind=settings.bind, port=settings.port, reason=reason)) from error
    stack.push_async_callback(runner.cleanup)
    return _address(config, runner, secure=tls is not None)


def _address(config: Config, runner: web.AppRunner, *, secure: bool) -> str:
    if config.file.web.public_url:
        return config.file.web.public_url
    host, port = runner.addresses[0][:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"


def link_maker(config: Config, database: Database, address: Callable[[], str]) -> Callable[[str], Awaitable[str]]:
    """Return what makes a sign-in link for a person; links live in wall time."""

    async def link(person: str) -> str:
        async with database.write() as tx:
            secret = await accounts.issue_link(tx, config.owner, person, real())
        return address() + accounts.link_path(secret)

    return link


async def open_socket(config: Config, door: control.Door, stack: AsyncExitStack) -> None:
    """Serve the control socket until the stack ends. Raises `DoorStuck`."""
    try:
        await stack.enter_async_context(control.serve(door, config.directory))
    except control.ControlUnavailable as error:
        raise DoorStuck(str(error)) from error
