"""The parts of a file that can be understood, each by itself, so that one mistake does not hide the next.

Whole sections are judged by `gateway.settings.ConfigFile`. Here each connection, tag, component, item and supplier is
judged alone: connections and tags by the models of their connector, suppliers by those of their adapter, all found by
entry point. What is not valid is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connectors.settings import ConnectionSettings, TagSettings, connector_types, models
from gateway.complaints import complaints, unknown
from gateway.settings import ComponentConfig, PersonSettings, SiteSettings, WindowSettings
from gateway.yaml_file import Mistake, Place, YamlFile
from maintenance.estimates import EstimateSettings, informed
from maintenance.settings import JobSettings
from maintenance.symptoms import SymptomSettings
from maintenance.windows import FeatureSettings
from marketplace.settings import SUPPLIERS, ItemSettings, SupplierSettings, UnknownAdapter, supplier_type

Model = TypeVar("Model", bound=BaseModel)


@dataclass(slots=True)
class Parts:
    """What of a file is valid by itself; tags, features, estimates and components are keyed `machine/tag` and so on."""

    site: SiteSettings | None = None
    people: dict[str, PersonSettings] = field(default_factory=dict)
    connections: dict[str, ConnectionSettings] = field(default_factory=dict)
    tags: dict[str, TagSettings] = field(default_factory=dict)
    features: dict[str, FeatureSettings] = field(default_factory=dict)
    estimates: dict[str, EstimateSettings] = field(default_factory=dict)
    components: dict[str, ComponentConfig] = field(default_factory=dict)
    items: dict[str, ItemSettings] = field(default_factory=dict)
    suppliers: dict[str, SupplierSettings] = field(default_factory=dict)
    windows: dict[int, WindowSettings] = field(default_factory=dict)
    """By their place in the list."""
    jobs: dict[str, JobSettings] = field(default_factory=dict)
    symptoms: dict[int, SymptomSettings] = field(default_factory=dict)
    """By their place in the list."""


def parts_of(file: YamlFile, base: Path) -> tuple[Parts, list[Mistake]]:
    """Return the valid parts, and the mistakes in what only a connector or an adapter can judge.

    base: what the paths that a connection names start from, where they are relative.
    """
    parts, mistakes = Parts(), list[Mistake]()
    parts.site = _alone(SiteSettings, file.data.get("site"))
    parts.people = _each(PersonSettings, file, ("people",))
    parts.windows = _rows(WindowSettings, file, "maintenance_windows")
    parts.jobs = _each(JobSettings, file, ("jobs",))
    parts.symptoms = _rows(SymptomSettings, file, "symptoms")
    parts.items = _each(ItemSettings, file, ("items",))
    for name, _value in entries(file, ("connections",)):
        _connection(file, name, parts, mistakes, base)
    for machine, said in entries(file, ("machines",)):
        estimates = _each(EstimateSettings, file, ("machines", machine, "estimates"))
        parts.estimates.update({f"{machine}/{key}": value for key, value in estimates.items()})
        components = _each(ComponentConfig, file, ("machines", machine, "components"))
        parts.components.update({f"{machine}/{key}": _whole(value, estimates) for key, value in components.items()})
        features = _each(FeatureSettings, file, ("machines", machine, "features"))
        parts.features.update({f"{machine}/{key}": value for key, value in features.items()})
        _tags(file, machine, said, parts, mistakes)
    for name, _value in entries(file, ("suppliers",)):
        _supplier(file, name, parts, mistakes)
    return parts, mistakes


def _whole(component: ComponentConfig, estimates: Mapping[str, EstimateSettings]) -> ComponentConfig:
    """Return a component that hears how far its estimate may be off, whether or not anybody wrote that."""
    wear = informed(component, estimates)
    return component if wear is None else component.model_copy(update={"wear": wear})


def entries(file: YamlFile, place: Place) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a mapping of the file; nothing when there is none."""
    found: Any = file.data
    for step in place:
        found = found.get(step) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        yield from found.items()


def _alone(model: type[Model], value: Any) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _each(model: type[Model], file: YamlFile, place: Place) -> dict[str, Model]:
    judged = ((key, _alone(model, value)) for key, value in entries(file, place))
    return {key: value for key, value in judged if value is not None}


def _rows(model: type[Model], file: YamlFile, section: str) -> dict[int, Model]:
    said = file.data.get(section)
    judged = ((place, _alone(model, each)) for place, each in enumerate(said if isinstance(said, list) else ()))
    return {place: row for place, row in judged if row is not None}


def _judge(
    model: type[Model], file: YamlFile, place: Place, mistakes: list[Mistake], base: Path | None = None
) -> Model | None:
    value: Any = file.data
    for step in place:
        value = value[step]
    try:
        return model.model_validate(value, context=None if base is None else {"base": base})
    except ValidationError as error:
        mistakes.extend(complaints(error, file, place, model))
        return None


def _connection(file: YamlFile, name: str, parts: Parts, mistakes: list[Mistake], base: Path) -> None:
    place: Place = ("connections", name)
    kind = _word(file, place, "connector", mistakes)
    if kind is None:
        return
    try:
        model, _tag_model = models(kind)
    except KeyError:
        message = unknown(kind, sorted(connector_types()))
        mistakes.append(file.mistake((*place, "connector"), message))
        return
    except ImportError as error:
        mistakes.append(file.mistake((*place, "connector"), _broken(error)))
        return
    judged = _judge(model, file, place, mistakes, base)
    if judged is not None:
        parts.connections[name] = judged


def _tags(file: YamlFile, machine: str, said: Any, parts: Parts, mistakes: list[Mistake]) -> None:
    over = said.get("connection") if isinstance(said, Mapping) else None
    connection = dict(entries(file, ("connections",))).get(str(over))
    kind = connection.get("connector") if isinstance(connection, Mapping) else None
    try:
        model = models(str(kind))[1]
    except (KeyError, ImportError):
        return  # the connection is what is wrong, and that is said where it stands
    for tag, _value in entries(file, ("machines", machine, "tags")):
        judged = _judge(model, file, ("machines", machine, "tags", tag), mistakes)
        if judged is not None:
            parts.tags[f"{machine}/{tag}"] = judged


def _supplier(file: YamlFile, name: str, parts: Parts, mistakes: list[Mistake]) -> None:
    place: Place = ("suppliers", name)
    adapter = _word(file, place, "adapter", mistakes)
    if adapter is None:
        return
    try:
        model = supplier_type(adapter).Settings
    except UnknownAdapter:
        message = unknown(adapter, sorted(point.name for point in entry_points(group=SUPPLIERS)))
        mistakes.append(file.mistake((*place, "adapter"), message))
        return
    except ImportError as error:
        mistakes.append(file.mistake((*place, "adapter"), _broken(error)))
        return
    judged = _judge(model, file, place, mistakes)
    if judged is not None:
        parts.suppliers[name] = judged


def _broken(error: ImportError) -> str:
    return _("is installed but cannot be loaded: {reason}").format(reason=error)


def _word(file: YamlFile, place: Place, key: str, mistakes: list[Mistake]) -> str | None:
    """Return the word that says which model judges the rest, or note what is wrong with it."""
    said = dict(entries(file, place[:-1])).get(str(place[-1]))
    if not isinstance(said, Mapping):
        mistakes.append(file.mistake(place, _("must be a mapping of keys and values")))
    elif key not in said:
        mistakes.append(file.mistake((*place, key), _("is missing")))
    elif not isinstance(said[key], str):
        mistakes.append(file.mistake((*place, key), _("must be a text; put it in quotes")))
    else:
        return str(said[key])
    return None
