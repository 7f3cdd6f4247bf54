"""A policy as people write it: read, judged for form, and held against the config that it is for.

Nothing here puts a policy into force: only a named person does, through the running gateway (`policy apply`). What a
policy says about things that the config does not have is a mistake: a limit for a misspelt machine protects nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.complaints import complaints, unknown
from gateway.yaml_file import Mistake, Mistakes, Place, YamlFile, parse, read
from marketplace.authority.limits import Scope
from marketplace.authority.mandate import EVERY_MACHINE
from marketplace.authority.policy import DEFAULT_MODE, Policy
from marketplace.money import Money

if TYPE_CHECKING:
    from gateway.config import Config


def read_policy(path: Path, config: Config | None = None) -> tuple[YamlFile, Policy]:
    """Return a policy file and what it says. Raises `Mistakes`; OSError when it cannot be read."""
    return _judged(read(path), config)


def parse_policy(text: str, config: Config | None = None, name: str = "policy") -> tuple[YamlFile, Policy]:
    """Return what the text of a policy file says; `data` of the first is what `apply_policy` takes.

    Raises `Mistakes`.
    """
    return _judged(parse(text.encode(), name), config)


def _judged(file: YamlFile, config: Config | None) -> tuple[YamlFile, Policy]:
    try:
        policy = Policy.model_validate(file.data)
    except ValidationError as error:
        raise Mistakes(complaints(error, file, (), Policy)) from error
    mistakes = [] if config is None else list(_strangers(file, policy, config))
    if mistakes:
        raise Mistakes(mistakes)
    return file, policy


def _strangers(file: YamlFile, policy: Policy, config: Config) -> Iterator[Mistake]:
    machines = config.file.machines
    if policy.mandate is not None:
        yield from _known(file, ("mandate", "granted_by"), policy.mandate.granted_by, config.people)
        for index, machine in enumerate(policy.mandate.machines):
            yield from _known(file, ("mandate", "machines", index), machine, {*machines, EVERY_MACHINE})
    for key in policy.modes:
        yield from _known(file, ("modes", key), key, {*machines, *config.components, DEFAULT_MODE}, at_key=True)
    for supplier, items in policy.known.items():
        yield from _known(file, ("known", supplier), supplier, config.suppliers, at_key=True)
        for index, item in enumerate(items):
            yield from _known(file, ("known", supplier, index), item, config.file.items)
    yield from _limits(file, policy, config)
    yield from _currencies(file, policy, config.site.currency)


def _limits(file: YamlFile, policy: Policy, config: Config) -> Iterator[Mistake]:
    """A limit for something that the config does not have would protect nothing; so would another calendar."""
    known: dict[Scope, Collection[str]] = {
        Scope.COMPONENT: config.components,
        Scope.MACHINE: config.file.machines,
        Scope.SUPPLIER: config.suppliers,
        Scope.CATEGORY: {item.category for item in config.file.items.values()} - {""},
    }
    for index, rule in enumerate(policy.limits):
        if rule.key is not None:
            yield from _known(file, ("limits", index, "key"), rule.key, known[rule.scope])
        if rule.category is not None:
            yield from _known(file, ("limits", index, "category"), rule.category, known[Scope.CATEGORY])
    if policy.time_zone not in (None, config.site.time_zone):
        sentence = _("is not the site's time zone, {zone}")
        yield file.mistake(("time_zone",), sentence.format(zone=config.site.time_zone))


def _known(
    file: YamlFile, place: Place, name: str, known: Collection[str], *, at_key: bool = False
) -> Iterator[Mistake]:
    if name not in known:
        yield file.mistake(place, unknown(name, sorted(known)), at_key=at_key)


def _currencies(file: YamlFile, policy: Policy, currency: str) -> Iterator[Mistake]:
    sentence = _("is in {found}, but the site's currency is {currency}, and no rate is pinned")
    limits: dict[Place, Money | None] = {
        ("mandate", "per_order"): policy.mandate.per_order if policy.mandate else None,
        ("window", "per_machine"): policy.window.per_machine if policy.window else None,
        **{("limits", index, "amount"): rule.amount for index, rule in enumerate(policy.limits)},
    }
    usable = {currency, policy.rates.base, *policy.rates.of} if policy.rates else {currency}
    for place, limit in limits.items():
        if limit is not None and limit.currency not in usable:
            yield file.mistake(place, sentence.format(found=limit.currency, currency=currency))
