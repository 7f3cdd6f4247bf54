"""The one file that a site writes: read, judged as a whole, and given out as values.

`load` says every mistake at once, each as `file:line:column: path: message`: of form, of each section, of what
installed connectors and supplier adapters demand, and of what only shows when sections meet (`gateway.checks`). What
is strange but can be meant is a warning. A file that has a mistake gives out nothing. `place_of` reads no more than
where the data is, for commands that only look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from gettext import gettext as _
from operator import or_
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError, create_model

from connectors.settings import ConnectionSettings, TagSettings, connector_types, models
from gateway.checks import cross_check
from gateway.complaints import complaints
from gateway.parts import parts_of
from gateway.settings import ComponentConfig, ConfigFile, Key, MachineSettings, PersonSettings, SiteSettings
from gateway.yaml_file import Mistake, Mistakes, YamlFile, read
from maintenance.estimates import Estimate, EstimateSettings
from maintenance.estimates import units_of as estimated_units
from maintenance.windows import Feature, FeatureSettings, feature, unit_of
from marketplace.catalogue import Item
from marketplace.settings import SupplierSettings, supplier_types
from marketplace.store import Owner
from marketplace.windows import PlantWindows

Each = TypeVar("Each")

SCHEMA: Final = 1
"""The version of the file that this program reads."""


@dataclass(frozen=True, slots=True)
class Config:
    """A site's config without a mistake. Tags, features, estimates and components are keyed `machine/tag` and so on.

    estimated: the estimates with what was learned for each, as their files were when the config was read.
    """

    path: Path
    file: ConfigFile
    connections: Mapping[str, ConnectionSettings]
    tags: Mapping[str, TagSettings]
    components: Mapping[str, ComponentConfig]
    suppliers: Mapping[str, SupplierSettings]
    features: Mapping[str, FeatureSettings] = field(default_factory=dict)
    estimates: Mapping[str, EstimateSettings] = field(default_factory=dict)
    estimated: Mapping[str, Estimate] = field(default_factory=dict)
    warnings: tuple[Mistake, ...] = ()

    @property
    def untold(self) -> list[str]:
        """One sentence for each estimate that tells nothing, for want of a model that can be used."""
        return [each.trouble for each in self.estimated.values() if each.trouble]

    @property
    def site(self) -> SiteSettings:
        """The site."""
        return self.file.site

    @property
    def owner(self) -> Owner:
        """Whose rows the databases hold."""
        return Owner(self.site.plant, self.site.gateway)

    @property
    def base(self) -> Path:
        """What relative paths in the file start from."""
        return self.path.parent

    @property
    def directory(self) -> Path:
        """Where the databases are."""
        return self.base / self.file.storage.directory

    @property
    def connector_state(self) -> Path:
        """Where connectors keep what they must remember, such as their own certificate."""
        return self.directory / "connections"

    @property
    def audit_key(self) -> Path:
        """Where the private key is that signs the audit log."""
        return self.base / self.file.audit.key if self.file.audit.key else self.directory / "audit.key"

    @property
    def policy_file(self) -> Path:
        """Where the policy is written; it counts only once a person has applied it."""
        return self.base / self.file.policy

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.site.time_zone)

    @property
    def windows(self) -> PlantWindows:
        """When machines may be worked on, in the site's time zone."""
        return PlantWindows(tuple((each.when, each.machines) for each in self.file.maintenance_windows), self.zone)

    @property
    def people(self) -> Mapping[str, PersonSettings]:
        """Named persons by id."""
        return self.file.people

    @property
    def catalogue(self) -> Mapping[str, Item]:
        """Every item by key."""
        return {key: settings.item(key) for key, settings in self.file.items.items()}

    def tags_of(self, connection: str) -> dict[str, TagSettings]:
        """Return the tags that are read over a connection, by `machine/tag`."""
        machines = {key for key, machine in self.file.machines.items() if machine.connection == connection}
        return {key: tag for key, tag in self.tags.items() if key.partition("/")[0] in machines}

    def heard_over(self, connection: str) -> tuple[str, ...]:
        """Return what a connection tells: its tags, and what is computed from them, by `machine/tag`."""
        machines = {key for key, machine in self.file.machines.items() if machine.connection == connection}
        return tuple(key for key in self.shown if key.partition("/")[0] in machines)

    @property
    def shown(self) -> tuple[str, ...]:
        """Every tag by `machine/tag`: those that are read, and what is computed from them."""
        return (*self.tags, *self.features, *estimated_units(self.estimates))

    def units_of(self, machine: str) -> dict[str, str]:
        """Return the units of a machine's tags by the tag's own name, with those of its features and estimates."""
        tags = self._read_units_of(machine)
        features = {name: unit_of(each, tags) for name, each in _own(self.features, machine).items()}
        return tags | features | estimated_units(_own(self.estimates, machine))

    def _read_units_of(self, machine: str) -> dict[str, str]:
        return {name: tag.unit for name, tag in _own(self.tags, machine).items()}

    def computed(self) -> dict[str, Feature]:
        """Return every feature as it is computed, by `machine/feature`."""
        return {
            f"{machine}/{name}": feature(each, self._read_units_of(machine))
            for machine in sorted({key.partition("/")[0] for key in self.features})
            for name, each in _own(self.features, machine).items()
        }

    def persons_of(self, user: str) -> tuple[str, ...]:
        """Return the ids of the persons whom an operating-system user stands for, as the config orders them."""
        return tuple(key for key, person in self.people.items() if person.os_user == user)


def _own(keyed: Mapping[str, Each], machine: str) -> dict[str, Each]:
    """Return what belongs to a machine, by its own name."""
    prefix = f"{machine}/"
    return {key.removeprefix(prefix): value for key, value in keyed.items() if key.startswith(prefix)}


def load(path: Path) -> Config:
    """Return the config that a file says. Raises `Mistakes` with every one of them; OSError if it cannot be read."""
    return load_with_places(path)[0]


def load_with_places(path: Path) -> tuple[Config, YamlFile]:
    """Return the same with the file as it was written, for those who have more to say about its lines.

    Apart from them nobody keeps it: the places of 1,000 tags are a megabyte.
    """
    path = path.absolute()
    source = read(path)
    return judged(path, source), source


def judged(path: Path, source: YamlFile) -> Config:
    """Return the config that a file at `path` would be if it said this. Raises `Mistakes`."""
    _require_schema(source)
    mistakes: list[Mistake] = []
    file: ConfigFile | None = None
    try:
        file = ConfigFile.model_validate(source.data)
    except ValidationError as error:
        mistakes += complaints(error, source, (), ConfigFile)
    parts, found = parts_of(source, path.parent)
    mistakes += found
    found, warnings = cross_check(source, parts, path.parent)
    mistakes += found
    if mistakes or file is None:
        raise Mistakes(mistakes)
    said = tuple(sorted(warnings))
    found_parts = parts.connections, parts.tags, parts.components, parts.suppliers, parts.features, parts.estimates
    config = Config(path, file, *found_parts, warnings=said)
    return _with_models(config, source) if parts.estimates else config


def _with_models(config: Config, source: YamlFile) -> Config:
    """Return a config with what was learned of wear; that a file of it cannot be used is a warning."""
    from gateway.wear_models import estimated  # a site that estimates nothing starts without it

    found, warnings = estimated(config), list(config.warnings)
    for key, each in found.items():
        machine, _slash, name = key.partition("/")
        if each.trouble:
            warnings.append(source.mistake(("machines", machine, "estimates", name, "model"), each.trouble))
    return replace(config, estimated=found, warnings=tuple(sorted(warnings)))


def _require_schema(file: YamlFile) -> None:
    """A file of another version is not judged further: whatever else it says may mean something else there."""
    found = file.data.get("schema")
    if found is None:
        raise Mistakes([file.mistake(("schema",), _("is missing; the file begins with 'schema: 1'"))])
    if isinstance(found, int) and not isinstance(found, bool) and found > SCHEMA:
        sentence = _("this file is of schema {found} and this program reads schema {known}: upgrade Toolcrib")
        raise Mistakes([file.mistake(("schema",), sentence.format(found=found, known=SCHEMA))])
    if found != SCHEMA or isinstance(found, bool):
        raise Mistakes([file.mistake(("schema",), _("must be {known}").format(known=SCHEMA))])


@dataclass(frozen=True, slots=True)
class DataPlace:
    """Where a config's data is, and whose: as much as a command needs that only looks."""

    config: Path
    directory: Path
    owner: Owner
    zone: ZoneInfo
    language: str
    policy: Path


def place_of(path: Path) -> DataPlace:
    """Return where a config's data is, judging nothing but the site. Raises `Mistakes`, OSError."""
    path = path.absolute()
    source = read(path)
    _require_schema(source)
    try:
        site = SiteSettings.model_validate(source.data.get("site"))
    except ValidationError as error:
        raise Mistakes(complaints(error, source, ("site",), SiteSettings)) from error
    storage = source.data.get("storage")
    directory = storage.get("directory", "data") if isinstance(storage, Mapping) else "data"
    policy = path.parent / str(source.data.get("policy", ConfigFile.model_fields["policy"].default))
    owner, zone = Owner(site.plant, site.gateway), ZoneInfo(site.time_zone)
    return DataPlace(path, path.parent / str(directory), owner, zone, site.language, policy)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, with every connector and supplier adapter that is installed."""
    known = [models(name) for name in connector_types()]
    tag: Any = reduce(or_, (tag for _connection, tag in known))
    connection: Any = reduce(or_, (connection for connection, _tag in known))
    supplier: Any = reduce(or_, (kind.Settings for kind in supplier_types().values()))
    machine: Any = create_model("MachineSettings", __base__=MachineSettings, tags=(Mapping[Key, tag], {}))
    whole = create_model(
        "ConfigFile",
        __base__=ConfigFile,
        connections=(Mapping[Key, connection], {}),
        machines=(Mapping[Key, machine], {}),
        suppliers=(Mapping[Key, supplier], {}),
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole.model_json_schema(by_alias=True)}
