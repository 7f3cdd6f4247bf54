"""What only shows when sections of a config meet.

It holds the valid parts of a file against each other and says mistakes and warnings; pure, but for looking whether the
files exist that a config names. What only the machines can tell is asked in `gateway.probing`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from connectors.connector import ConnectionRefused
from connectors.opcua.settings import OpcUaSettings
from connectors.secrets import SecretMissing as PasswordMissing
from gateway.actions import Right
from gateway.clock import real
from gateway.complaints import unknown
from gateway.parts import Parts, entries
from gateway.yaml_file import Mistake, Place, YamlFile
from maintenance import estimates, windows
from maintenance.assets import machine_of
from maintenance.needs import FAILURE_SAID, NOTED, JobKind
from maintenance.settings import JobSettings, is_time, problems
from maintenance.symptoms import JOB_CHOSEN
from marketplace.sentences import EVIDENCE
from marketplace.settings import SecretMissing, SecretReference
from marketplace.windows import JOB_MAX, Once, PlantWindows, Windows


def cross_check(file: YamlFile, parts: Parts, base: Path) -> tuple[list[Mistake], list[Mistake]]:
    """Return the mistakes and the warnings of a file whose relative paths start from `base`."""
    mistakes = [
        *_machines(file, parts),
        *_features(file, parts),
        *_estimates(file, parts),
        *_components(file, parts),
        *_jobs(file, parts),
        *_symptoms(file, parts),
        *_money(file, parts),
        *_files(file, base),
        *_missing(file, parts),
        *_learning(file, parts),
        *_windows_of_machines(file, parts),
    ]
    return mistakes, [*_warnings(file, parts), *_secrets(file, parts, base, mistakes)]


def _machines(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    connections = [name for name, _value in entries(file, ("connections",))]
    for machine, said in entries(file, ("machines",)):
        if not isinstance(said, Mapping):
            continue
        place: Place = ("machines", machine)
        over = said.get("connection")
        if over is None and said.get("tags"):
            yield file.mistake((*place, "connection"), _("is missing, and the machine has tags"))
        elif isinstance(over, str) and over not in connections:
            yield file.mistake((*place, "connection"), unknown(over, connections))


def _features(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    for key, feature in parts.features.items():
        machine, _slash, name = key.partition("/")
        place: Place = ("machines", machine, "features", name)
        tags, whole = _read(file, machine), _windows(file, machine)
        if name in tags:
            yield file.mistake(place, _("is a tag already: name the feature otherwise"), at_key=True)
        for path, message in windows.problems(feature, tags, whole):
            yield file.mistake((*place, *_steps(path)), message)


def _estimates(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    for key, estimate in parts.estimates.items():
        machine, _slash, name = key.partition("/")
        place: Place = ("machines", machine, "estimates", name)
        tags = _told(file, parts, machine)
        for taken in sorted({name, name + estimates.DEVIATION} & {*_read(file, machine), *tags}):
            yield file.mistake(
                place, _("{tag} is a tag already: name the estimate otherwise").format(tag=taken), at_key=True
            )
        if {*estimate.signals, *estimate.clocks} & _broken(file, parts, machine):
            continue
        single = {tag: unit for tag, unit in tags.items() if tag not in _windows(file, machine)}
        for path, message in estimates.problems(estimate, single):
            yield file.mistake((*place, *_steps(path)), message)
        written = {component: parts.components.get(f"{machine}/{component}") for component in _names(file, machine)}
        understood = {component: said for component, said in written.items() if said is not None}
        wearing = estimates.wearing_by(name, understood)
        if len(wearing) != 1 and understood.keys() == written.keys():
            sentence = _("one component of the machine wears by an estimate, by level; by this one: {components}")
            said = ", ".join(wearing) or _("none")
            yield file.mistake(place, sentence.format(components=said), at_key=True)


def _names(file: YamlFile, machine: str) -> list[str]:
    return [name for name, _said in entries(file, ("machines", machine, "components"))]


def _components(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    for key, component in parts.components.items():
        machine, _slash, name = key.partition("/")
        place: Place = ("machines", machine, "components", name)
        if not set(component.tags()) & _broken(file, parts, machine):
            for path, message in problems(component, _units(file, parts, machine)):
                yield file.mistake((*place, *_steps(path)), message)
        for tag in sorted(set(component.tags()) & _windows(file, machine)):
            sentence = _("reads the tag {tag}, a window of many numbers: name one of the machine's 'features'")
            yield file.mistake((*place, "wear"), sentence.format(tag=tag), at_key=True)
        yield from _job(file, parts, (*place, "job"), component.job, {machine})


def _learning(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    """A kind that is pinned by a name which nothing has would not be pinned."""
    pinned = [name for name, _phase in entries(file, ("learning",))]
    if not pinned:
        return
    from gateway.learning.kinds import kinds_of  # a site that pins nothing starts without it

    known = sorted({kind.name for kind in kinds_of(parts.components)})
    for name in pinned:
        if name not in known:
            yield file.mistake(("learning", name), unknown(name, known))


def _jobs(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    """Jobs that symptoms call for are held against the same as the components' own."""
    for key, job in parts.jobs.items():
        span = job.duration
        if span is not None and (not is_time(span.unit) or span.value <= 0):
            yield file.mistake(("jobs", key, "duration"), _("{span} is not a span of time").format(span=span))
        called_for = [row for row in parts.symptoms.values() if row.job == key]
        concerned = (each for each in parts.components if any(row.concerns(each) for row in called_for))
        yield from _job(file, parts, ("jobs", key), job, {machine_of(each) for each in concerned})


def _job(file: YamlFile, parts: Parts, place: Place, job: JobSettings, machines: Collection[str]) -> Iterator[Mistake]:
    items = [key for key, _value in entries(file, ("items",))]
    yield from _service(file, parts, place, job, machines)
    for line, wanted in job.lines.items():
        at: Place = (*place, "lines", line)
        if wanted.item not in items:
            yield file.mistake((*at, "item"), unknown(wanted.item, items))
        elif wanted.item in parts.items and parts.items[wanted.item].unit != wanted.unit:
            sentence = _("is in {unit}, but the item is bought in {other}")
            other = parts.items[wanted.item].unit
            yield file.mistake((*at, "unit"), sentence.format(unit=wanted.unit, other=other))


def _symptoms(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    """Every row of the table could decide something: its job is known, and somewhere its evidence may be seen."""
    jobs = [key for key, _value in entries(file, ("jobs",))]
    for number, row in parts.symptoms.items():
        place: Place = ("symptoms", number)
        if row.job and row.job not in jobs:
            yield file.mistake((*place, "job"), unknown(row.job, jobs))
        if row.evidence not in EVIDENCE or row.evidence in (JOB_CHOSEN, NOTED, FAILURE_SAID):
            yield file.mistake((*place, "evidence"), unknown(row.evidence, sorted(EVIDENCE)))
        concerned = [each for key, each in parts.components.items() if row.concerns(key)]
        if not concerned:
            yield file.mistake((*place, "component"), _("no component is called like that"))
        elif not any(row.is_possible(each) for each in concerned):
            read = sorted({tag for each in concerned for tag in each.tags()})
            yield file.mistake((*place, "tag"), unknown(row.tag, read))


A_WEEK: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""Any: windows return every week."""


def _service(
    file: YamlFile, parts: Parts, place: Place, job: JobSettings, machines: Collection[str]
) -> Iterator[Mistake]:
    """A job with a service must fit into a window of a machine that it is done on, or nobody would ever be asked."""
    duration = job.duration
    if duration is None or not is_time(duration.unit):
        return
    if not any(line.kind is JobKind.SERVICE for line in job.lines.values()):
        return
    at: Place = (*place, "duration")
    if duration.duration > JOB_MAX:
        yield file.mistake(at, _("a job with a service takes {days} days at most").format(days=JOB_MAX.days))
    elif duration.value > 0 and machines:
        plant = _plant_windows(parts)
        if not any(_has_room(plant.of(machine), duration.duration) for machine in machines):
            yield file.mistake(at, _("no maintenance window is as long as that, so its service would never be booked"))


def _has_room(windows: Windows, duration: timedelta) -> bool:
    return any(windows.next(moment, duration) is not None for moment in (A_WEEK, real()))


def _plant_windows(parts: Parts) -> PlantWindows:
    return PlantWindows(tuple((each.when, each.machines) for each in parts.windows.values()), _zone(parts))


def _zone(parts: Parts) -> ZoneInfo:
    return ZoneInfo(parts.site.time_zone if parts.site is not None else "UTC")


def _windows_of_machines(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    """A window for a machine that nobody knows would leave the one that was meant without."""
    machines = [key for key, _said in entries(file, ("machines",))]
    for place, window in parts.windows.items():
        for number, machine in enumerate(window.machines):
            if machine not in machines:
                at: Place = ("maintenance_windows", place, "machines", number)
                yield file.mistake(at, unknown(machine, machines))


def _spent_windows(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    """What is over no longer counts, and with the last of windows that come once nobody is booked any more."""
    for place, each in ((place, window.when) for place, window in parts.windows.items()):
        within = each.within(_zone(parts)) if isinstance(each, Once) else None
        if isinstance(each, Once) and within is None:
            sentence = _("lies in an hour that clocks leave out or show twice, so it never comes")
            yield file.mistake(("maintenance_windows", place), sentence)
        elif within is not None and within.end <= real():
            yield file.mistake(("maintenance_windows", place), _("is over, so it no longer counts"))
    plant, machines = _plant_windows(parts), [key for key, _said in entries(file, ("machines",))]
    ending = [key for key in machines if (found := plant.of(key)).once and not found.weekly]
    if ending:
        sentence = _("none of them returns every week: when the last one is over, no service is booked any more")
        if len(ending) < len(machines):
            sentence = _("for {machines} none returns every week: when the last is over, no service is booked there")
        yield file.mistake(("maintenance_windows",), sentence.format(machines=", ".join(ending)))


def _units(file: YamlFile, parts: Parts, machine: str) -> dict[str, str]:
    """Return the units of a machine's tags, its features and estimates among them."""
    own = {key.partition("/")[2]: each for key, each in parts.estimates.items() if key.startswith(f"{machine}/")}
    return _told(file, parts, machine) | estimates.units_of(own)


def _told(file: YamlFile, parts: Parts, machine: str) -> dict[str, str]:
    """Return the same without its estimates: what one can be made of."""
    tags = _read(file, machine)
    own = {key.partition("/")[2]: each for key, each in parts.features.items() if key.startswith(f"{machine}/")}
    return tags | {name: windows.unit_of(each, tags) for name, each in own.items()}


def _broken(file: YamlFile, parts: Parts, machine: str) -> set[str]:
    """Return the features and estimates that cannot be understood: that is said where they stand, and nothing follows
    from it."""
    found = (("features", parts.features), ("estimates", parts.estimates))
    return {
        name
        for section, known in found
        for name, _said in entries(file, ("machines", machine, section))
        if f"{machine}/{name}" not in known
    }


def _windows(file: YamlFile, machine: str) -> set[str]:
    """Return the tags of a machine that are windows, as written."""
    said = entries(file, ("machines", machine, "tags"))
    return {tag for tag, each in said if isinstance(each, Mapping) and each.get("window") is True}


def _read(file: YamlFile, machine: str) -> dict[str, str]:
    """Return the units of the tags that are read from a machine as written, also of tags that have another mistake."""
    return {
        tag: str(said.get("unit", ""))
        for tag, said in entries(file, ("machines", machine, "tags"))
        if isinstance(said, Mapping)
    }


def _steps(path: str) -> Place:
    return tuple(int(step) if step.isdigit() else step for step in path.split("."))


def _money(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    """One plant, one currency: a limit is never compared with an amount in another."""
    if parts.site is None:
        return
    currency, sentence = parts.site.currency, _("is in {found}, but the site's currency is {currency}")
    for key, component in parts.components.items():
        machine, _slash, name = key.partition("/")
        if component.buying is not None and component.buying.price.currency != currency:
            place: Place = ("machines", machine, "components", name, "buying", "price")
            yield file.mistake(place, sentence.format(found=component.buying.price.currency, currency=currency))
    for person, settings in parts.people.items():
        limit = settings.approval_limit
        if limit is not None and limit.currency != currency:
            place = ("people", person, "approval_limit")
            yield file.mistake(place, sentence.format(found=limit.currency, currency=currency))


def _shared_users(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    users: dict[str, str] = {}
    for person, settings in parts.people.items():
        if settings.os_user is None:
            continue
        first = users.setdefault(settings.os_user, person)
        if first != person:
            sentence = _("is {first} already: whoever has that user can act as either, so neither guards the other")
            yield file.mistake(("people", person, "os_user"), sentence.format(first=first))


_FILES: Final[tuple[Place, ...]] = (
    ("web", "certificate"),
    ("web", "key"),
    ("network", "certificate_authority"),
)


def _files(file: YamlFile, base: Path) -> Iterator[Mistake]:
    for place in _FILES:
        named = dict(entries(file, place[:-1])).get(str(place[-1]))
        if isinstance(named, str) and not (base / named).is_file():
            yield file.mistake(place, _("there is no such file"))


def _named_files(parts: Parts) -> Iterator[tuple[Place, Path]]:
    """Yield every file that an OPC-UA connection names, and where the config does."""
    for name, settings in parts.connections.items():
        if not isinstance(settings, OpcUaSettings):
            continue
        sections: tuple[tuple[Place, object], ...] = (((), settings), (("user",), settings.user))
        for place, section in sections:
            for key in ("certificate", "key", "password", "key_password"):
                named = getattr(section, key, None)
                named = getattr(named, "file", None) if "password" in key else named
                if named is not None:
                    yield ("connections", name, *place, key), named


def _missing(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    for place, named in _named_files(parts):
        if not named.exists():
            yield file.mistake(place, _("there is no such file"))


def _certificates(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    """A certificate that cannot be used costs its own connection, which says so; the others start all the same."""
    if not any(place[-1] == "certificate" for place, _named in _named_files(parts)):
        return
    from connectors.opcua.identity import issued_certificate, issued_identity  # most sites need none of it

    for name, settings in parts.connections.items():
        if not isinstance(settings, OpcUaSettings):
            continue
        user = settings.user
        for place, section, load in (((), settings, issued_identity), (("user",), user, issued_certificate)):
            if section is None or section.certificate is None or section.key is None:
                continue
            try:
                secret = None if section.key_password is None else section.key_password.read()
                load(section.certificate, section.key, secret, real())
            except (ConnectionRefused, PasswordMissing) as error:
                yield file.mistake(("connections", name, *place, "certificate"), str(error))


def _secrets(file: YamlFile, parts: Parts, base: Path, mistakes: list[Mistake]) -> Iterator[Mistake]:
    """A file that is not there is a mistake; what only another user or systemd may read is a warning."""
    for name, settings in parts.suppliers.items():
        for key in type(settings).model_fields:
            secret = getattr(settings, key)
            if not isinstance(secret, SecretReference):
                continue
            try:
                secret.read(base)
            except SecretMissing as error:
                said = file.mistake(("suppliers", name, key), str(error))
                gone = secret.file is not None and not (base / secret.file).exists()
                if gone:
                    mistakes.append(said)
                else:
                    yield said


def _warnings(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    yield from _idle(file, parts)
    yield from _unheard_windows(file, parts)
    yield from _spent_windows(file, parts)
    yield from _certificates(file, parts)
    for name, settings in parts.connections.items():
        if isinstance(settings, OpcUaSettings) and settings.insecure:
            yield file.mistake(("connections", name, "insecure"), _("what it says counts as class B: orders will ask"))
        elif isinstance(settings, OpcUaSettings) and settings.server_certificate is None:
            sentence = _("names no server_certificate: its server is refused until 'toolcrib trust pin' lets it in")
            yield file.mistake(("connections", name), sentence, at_key=True)
        if isinstance(settings, OpcUaSettings) and settings.deprecated_policies:
            sentence = _("what comes over these counts as class B: orders will ask")
            yield file.mistake(("connections", name, "deprecated_policies"), sentence)
    for key, component in parts.components.items():
        machine, _slash, name = key.partition("/")
        if component.buying is None and component.job.lines:
            place: Place = ("machines", machine, "components", name)
            yield file.mistake(place, _("has no 'buying', so it is watched and never bought for"), at_key=True)
    approvers = [each for each in parts.people.values() if Right.APPROVE in each.may and each.approval_limit]
    if not approvers:
        yield file.mistake(("people",), _("nobody may approve: give a person 'may: [approve]' and an approval_limit"))
    yield from _shared_users(file, parts)
    if parts.components and not parts.suppliers:
        yield file.mistake(("suppliers",), _("there are none, so nothing can be bought"))


def _unheard_windows(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    for machine, _said in entries(file, ("machines",)):
        used = {each.from_ for key, each in parts.features.items() if key.startswith(f"{machine}/")}
        for tag in sorted(_windows(file, machine) - used):
            place: Place = ("machines", machine, "tags", tag)
            yield file.mistake(place, _("is a window, and no feature is computed from it"), at_key=True)


def _idle(file: YamlFile, parts: Parts) -> Iterator[Mistake]:
    machines = [said for _key, said in entries(file, ("machines",)) if isinstance(said, Mapping)]
    used = {said.get("connection") for said in machines}
    for name, settings in parts.connections.items():
        if name not in used and not getattr(settings, "adopt", False):
            yield file.mistake(("connections", name), _("no machine uses it"), at_key=True)
    called_for = {row.job for row in parts.symptoms.values()}
    for key in parts.jobs:
        if key not in called_for:
            yield file.mistake(("jobs", key), _("no symptom calls for it"), at_key=True)
    jobs = [each.job for each in parts.components.values()] + list(parts.jobs.values())
    wanted = {line.item for job in jobs for line in job.lines.values()}
    for item in parts.items:
        if item not in wanted:
            yield file.mistake(("items", item), _("no job wants it"), at_key=True)
