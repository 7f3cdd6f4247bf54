"""Machines that say of themselves what they are and how long their parts last, as the companion specifications have it.

Three kinds: in the shape of Machinery (OPC 40001-1: a machine with identification, components, counters, lifetimes),
of Machine Tools (OPC 40501-1: the same with monitoring, tools and prognoses) and of plain Devices (OPC 10000-100).
What they show wears by the laws of `wear`, as the other simulated machines do. `shape_of` says what stands where,
`show` what every variable shows now; both are pure. A fitted part sets its lifetime back to its start. A machine may
have an accelerometer, which sends raw windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uatypes import LocalizedText, String, VariantType

from connectors.simulator import companions as types
from connectors.simulator.accelerometer import Accelerometer, RollingBearing
from connectors.simulator.companions import DI, MACHINE_TOOL, MACHINERY
from connectors.simulator.machines import ComponentPlan, Machine, MachinePlan
from connectors.simulator.shape import (
    ANALOG,
    BASE_OBJECT,
    FOLDER,
    OWN,
    PROPERTY,
    UA,
    VARIABLE,
    Reference,
    Shape,
    TypeName,
    Value,
    constant,
    measured,
    text,
    unit,
)
from connectors.simulator.wear import Slot, WearLaw

CYCLES_PER_HOUR: Final = 30
_MS_PER_HOUR: Final = 3_600_000.0


class Model(StrEnum):
    """The companion specification whose shape a machine has."""

    MACHINERY = "machinery"
    MACHINE_TOOL = "machine-tool"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Nameplate:
    """Who made a thing and which one it is; what is empty is not shown."""

    manufacturer: str
    model: str
    product_code: str
    serial: str


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A lifetime of a component: from `start` to `limit` in a unit, up or down, as its part is used (or wears).

    indication: the BrowseName of the standard's type that says what is counted; `warnings` come before the limit.
    """

    name: str
    start: float
    limit: float
    code: str
    symbol: str
    indication: str
    warnings: tuple[float, ...] = ()
    kind: VariantType = VariantType.Double

    def at(self, share: float) -> float:
        """Return the value when this share of the life, 0 to 1, is gone."""
        return self.start + (self.limit - self.start) * min(share, 1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """A component: its slot, what stands on its nameplate, and its lifetimes."""

    plan: ComponentPlan
    name: str
    nameplate: Nameplate
    lifetimes: tuple[Lifetime, ...]


@dataclass(frozen=True, slots=True)
class Listening:
    """An accelerometer at a component's bearing, and how fast the shaft in it turns while the machine runs."""

    component: str
    sensor: Accelerometer
    speed_rpm: float


@dataclass(frozen=True, slots=True)
class ModelledPlan:
    """A machine: which shape it has, its nameplate, how it runs, its parts, and what listens to one of them."""

    key: str
    model: Model
    nameplate: Nameplate
    hours_per_day: float
    parts: tuple[Part, ...]
    listening: Listening | None = None

    @property
    def window(self) -> str:
        """The key of the variable that shows windows, where the machine has one."""
        return f"{self.key}.vibration"

    @property
    def speed(self) -> str:
        """The key of the variable that shows the shaft's speed, in rpm."""
        return f"{self.key}.speed"

    def plan(self) -> MachinePlan:
        """Return how it wears."""
        return MachinePlan(self.key, self.hours_per_day, tuple(part.plan for part in self.parts), (), ())


_HOURS: Final = "TimeIndicationType"
MACHINING: Final = ModelledPlan(
    key="M-4711",
    model=Model.MACHINERY,
    nameplate=Nameplate("Nordwerk", "Formstar 3", "FS3-440", "4711-0042"),
    hours_per_day=16,
    parts=(
        Part(
            ComponentPlan("spindle", WearLaw(life=8_000), wear=0.55),
            "Spindle",
            Nameplate("Nordlager", "Motor spindle 24k", "NL-MS24", "SP-0815"),
            (Lifetime("BearingHours", 0.0, 8_000.0, "HUR", "h", _HOURS, (7_200.0,)),),
        ),
        Part(
            ComponentPlan("seal", WearLaw(life=1_500), wear=0.70, stops=False),
            "ClampingSeal",
            Nameplate("Dichtwerk", "Lip seal 60", "DW-60-L", "A-3390"),
            (Lifetime("Strokes", 45_000.0, 0.0, "H87", "pc", "NumberOfUsagesIndicationType", (4_500.0,)),),
        ),
        Part(
            ComponentPlan("grinding-wheel", WearLaw(life=900), wear=0.30, stops=False),
            "GrindingWheel",
            Nameplate("Korund AG", "CBN 400", "K-CBN-400", "W-77"),
            (Lifetime("Diameter", 400.0, 350.0, "MMT", "mm", "DiameterIndicationType", (355.0,)),),
        ),
    ),
)
MILLING: Final = ModelledPlan(
    key="MT-9",
    model=Model.MACHINE_TOOL,
    nameplate=Nameplate("Suedfraes", "X5 Dynamic", "X5-DYN", "X5-1009"),
    hours_per_day=20,
    parts=(
        Part(
            ComponentPlan("cutter", WearLaw(life=60), wear=0.4, stops=False),
            "Cutter D10",
            Nameplate("Schneidwerk", "HPC D10", "SW-HPC-10", "T-12"),
            (Lifetime("ToolLife0", 3_600.0, 0.0, "MIN", "min", _HOURS, (360.0,)),),
        ),
        Part(
            ComponentPlan("filter", WearLaw(life=700), wear=0.5, stops=False),
            "CoolantFilter",
            Nameplate("Filtra", "F-200", "FI-200", "F-5"),
            (Lifetime("FilterHours", 0.0, 700.0, "HUR", "h", _HOURS, (650.0,)),),
        ),
    ),
)
DEVICE: Final = ModelledPlan(
    key="valve-block-1",
    model=Model.DEVICE,
    nameplate=Nameplate("Pneutec", "VB-16", "PT-VB16", "778-1"),
    hours_per_day=24,
    parts=(
        Part(
            ComponentPlan("valve", WearLaw(life=5_000), wear=0.6),
            "PilotValve",
            Nameplate("Pneutec", "PV-2", "PT-PV2", "PV-2-31"),
            (Lifetime("SwitchingCycles", 0.0, 1_000_000.0, "C62", "", "NumberOfUsagesIndicationType", (900_000.0,)),),
        ),
    ),
)
PUMP: Final = ModelledPlan(
    key="P-101",
    model=Model.DEVICE,
    nameplate=Nameplate("Hydrowerk", "NCP 65", "HW-NCP65", "101-77"),
    hours_per_day=24,
    parts=(
        Part(
            ComponentPlan("bearing", WearLaw(life=4_000), wear=0.05),
            "DriveEndBearing",
            Nameplate("Nordlager", "6205", "NL-6205", "B-6205-9"),
            (Lifetime("BearingHours", 0.0, 4_000.0, "HUR", "h", _HOURS, (3_600.0,)),),
        ),
    ),
    listening=Listening("bearing", Accelerometer(RollingBearing(9, 7.94, 39.04)), speed_rpm=1480),
)
"""It sends raw windows of the vibration at its bearing, whose outer ring begins to flake."""
PLANS: Final[Mapping[Model, ModelledPlan]] = {
    Model.MACHINERY: MACHINING,
    Model.MACHINE_TOOL: MILLING,
    Model.DEVICE: DEVICE,
}


def shape_of(plan: ModelledPlan) -> tuple[str, Shape]:
    """Return under which folder of Objects a machine stands (`Machines` or `DeviceSet`), and its shape."""
    match plan.model:
        case Model.MACHINERY:
            return "Machines", _machine(plan, BASE_OBJECT, types.MACHINE_IDENTIFICATION, ())
        case Model.MACHINE_TOOL:
            identification = TypeName(MACHINE_TOOL, "MachineToolIdentificationType")
            return "Machines", _machine(plan, types.MACHINE_TOOL_TYPE, identification, _machine_tool(plan))
        case Model.DEVICE:
            return "DeviceSet", _device(plan)


def _machine(plan: ModelledPlan, type_: TypeName, identification: TypeName, more: tuple[Shape, ...]) -> Shape:
    parts = [part for part in plan.parts if not _is_tool(plan, part)]
    components = Shape(
        "Components", types.MACHINE_COMPONENTS, tuple(_component(plan, part) for part in parts), MACHINERY
    )
    children = (
        _identification(plan.nameplate, identification, whole=True),
        components,
        _counters(plan.key),
        _state(plan.key),
        measured("Power", f"{plan.key}.power", "KWT", "kW"),
        *more,
    )
    return Shape(plan.key, type_, children, reference=Reference.ORGANIZES)


def _identification(nameplate: Nameplate, type_: TypeName, *, whole: bool) -> Shape:
    """The add-in Identification: OPC 40001-1, 8.4 for a machine, 8.5 for a component."""
    shown = [
        text("Manufacturer", nameplate.manufacturer, DI),
        text("Model", nameplate.model, DI),
        text("ProductCode", nameplate.product_code, DI, localized=False),
        text("SerialNumber", nameplate.serial, DI, localized=False),
    ]
    if whole:
        shown.append(
            text("ProductInstanceUri", f"urn:{nameplate.manufacturer}:{nameplate.serial}", DI, localized=False)
        )
        shown.append(constant("YearOfConstruction", VariantType.UInt16, 2023, MACHINERY))
    return Shape("Identification", type_, tuple(shown), DI, Reference.ADD_IN)


def _component(plan: ModelledPlan, part: Part) -> Shape:
    lives = Shape(
        "LifetimeCounters",
        types.LIFETIME_COUNTERS,
        tuple(_lifetime(plan.key, part, life) for life in part.lifetimes),
        MACHINERY,
        Reference.ADD_IN,
    )
    return Shape(
        part.name,
        BASE_OBJECT,
        (_identification(part.nameplate, types.COMPONENT_IDENTIFICATION, whole=False), lives),
    )


def _lifetime(machine: str, part: Part, life: Lifetime, type_: TypeName = types.LIFETIME) -> Shape:
    """OPC 10000-100, 10.2: value, unit, start and limit, and what they mean."""
    children = [
        unit(life.code, life.symbol),
        constant("StartValue", life.kind, life.start, DI),
        constant("LimitValue", life.kind, life.limit, DI),
        constant("Indication", VariantType.NodeId, TypeName(DI, life.indication), DI),
    ]
    if life.warnings:
        children.append(constant("WarningValues", life.kind, list(life.warnings), DI))
    return Shape(life.name, type_, tuple(children), value=Value(life.kind), key=_life_key(machine, part, life))


def _life_key(machine: str, part: Part, life: Lifetime) -> str:
    return f"{machine}.{part.plan.key}.{life.name}"


def _counters(key: str) -> Shape:
    """The add-in OperationCounters: OPC 40001-1, 14 with the interface of OPC 10000-100, 4.5.5."""
    duration = Value(VariantType.Double, None, ObjectIds.Duration)

    def counter(name: str, value: Value) -> Shape:
        return Shape(name, PROPERTY, (), DI, Reference.PROPERTY, value, f"{key}.{name}")

    children = (
        counter("PowerOnDuration", duration),
        counter("OperationDuration", duration),
        counter("OperationCycleCounter", Value(VariantType.UInt32)),
    )
    return Shape(
        "OperationCounters",
        types.OPERATION_COUNTERS,
        children,
        DI,
        Reference.ADD_IN,
        interfaces=(types.OPERATION_COUNTER,),
    )


def _state(key: str) -> Shape:
    """The add-in MachineryItemState: OPC 40001-1, 12."""
    current = Shape("CurrentState", VARIABLE, (), UA, value=Value(VariantType.LocalizedText), key=f"{key}.state")
    return Shape("MachineryItemState", types.ITEM_STATE, (current,), MACHINERY, Reference.ADD_IN)


def _is_tool(plan: ModelledPlan, part: Part) -> bool:
    return plan.model is Model.MACHINE_TOOL and part.lifetimes[0].name.startswith("ToolLife")


def _machine_tool(plan: ModelledPlan) -> tuple[Shape, ...]:
    """Monitoring, Equipment with tools, Notification with prognoses: OPC 40501-1, 8."""
    tools = tuple(_tool(plan.key, part) for part in plan.parts if _is_tool(plan, part))
    operation = Shape(
        "MachineTool",
        TypeName(MACHINE_TOOL, "MachineOperationMonitoringType"),
        (measured("FeedOverride", f"{plan.key}.feed-override", "P1", "%", space=MACHINE_TOOL),),
        MACHINE_TOOL,
    )
    prognoses = tuple(_prognosis(plan.key, part) for part in plan.parts)
    return (
        Shape("Monitoring", TypeName(MACHINE_TOOL, "MonitoringType"), (operation,), MACHINE_TOOL),
        Shape(
            "Equipment",
            TypeName(MACHINE_TOOL, "EquipmentType"),
            (Shape("Tools", TypeName(MACHINE_TOOL, "ToolListType"), tools, MACHINE_TOOL),),
            MACHINE_TOOL,
        ),
        Shape(
            "Notification",
            TypeName(MACHINE_TOOL, "NotificationType"),
            (Shape("Prognoses", types.PROGNOSIS_LIST, prognoses, MACHINE_TOOL),),
            MACHINE_TOOL,
        ),
    )


def _tool(machine: str, part: Part) -> Shape:
    life = part.lifetimes[0]
    children = (
        unit(life.code, life.symbol),
        constant("StartValue", life.kind, life.start, MACHINE_TOOL),
        constant("LimitValue", life.kind, life.limit, MACHINE_TOOL),
        constant("WarningValue", life.kind, life.warnings[0], MACHINE_TOOL),
    )
    entry = Shape(
        life.name, types.TOOL_LIFE, children, MACHINE_TOOL, value=Value(life.kind), key=_life_key(machine, part, life)
    )
    lives = Shape("ToolLife", BASE_OBJECT, (entry,), MACHINE_TOOL)
    named = text("Name", part.name, MACHINE_TOOL, localized=False)
    identifier = text("Identifier", part.nameplate.product_code, MACHINE_TOOL, localized=False)
    return Shape(part.name, types.TOOL, (named, identifier, lives))


def _prognosis(machine: str, part: Part) -> Shape:
    """When something will be due, by the machine's own reckoning: OPC 40501-1, 8.6."""
    moment = Value(VariantType.DateTime, None, ObjectIds.UtcTime)
    key = f"{machine}.{part.plan.key}.predicted"
    predicted = Shape("PredictedTime", PROPERTY, (), MACHINE_TOOL, Reference.PROPERTY, moment, key)
    if part.lifetimes[0].name.startswith("ToolLife"):
        told = Shape("ToolName", VARIABLE, (), MACHINE_TOOL, value=Value(VariantType.String, part.name))
        return Shape(f"{part.name} change", TypeName(MACHINE_TOOL, "ToolChangePrognosisType"), (predicted, told))
    words = LocalizedText(String(f"Replace {part.name}"))
    told = Shape("Activity", VARIABLE, (), MACHINE_TOOL, value=Value(VariantType.LocalizedText, words))
    return Shape(f"{part.name} maintenance", TypeName(MACHINE_TOOL, "MaintenancePrognosisType"), (predicted, told))


def _device(plan: ModelledPlan) -> Shape:
    """A device with its nameplate as properties, and components below it: OPC 10000-100, 4.7 and 4.6."""
    parts = tuple(
        Shape(
            part.name,
            types.DI_COMPONENT,
            (*_nameplate(part.nameplate), *(_lifetime(plan.key, part, life) for life in part.lifetimes)),
        )
        for part in plan.parts
    )
    children = (*_nameplate(plan.nameplate), *parts, _counters(plan.key), *_heard(plan))
    return Shape(plan.key, types.DEVICE, children)


def _heard(plan: ModelledPlan) -> tuple[Shape, ...]:
    """What an accelerometer shows: an array of numbers, waiting for its first, and the speed it was taken at."""
    if plan.listening is None:
        return ()
    window = Shape("Vibration", ANALOG, (unit("MSK", "m/s2"),), value=Value(VariantType.Double, [0.0]), key=plan.window)
    return window, measured("ShaftSpeed", plan.speed, "RPM", "rpm")


def _nameplate(nameplate: Nameplate) -> tuple[Shape, ...]:
    return (
        text("Manufacturer", nameplate.manufacturer, DI),
        text("Model", nameplate.model, DI),
        text("ProductCode", nameplate.product_code, DI, localized=False),
        text("SerialNumber", nameplate.serial, DI, localized=False),
        text("DeviceRevision", "1.2", DI, localized=False),
    )


def folders() -> tuple[Shape, ...]:
    """Return the entry points below Objects: `Machines` (OPC 40001-1, 7) and `DeviceSet` (OPC 10000-100, 5.2)."""
    machines = Shape("Machines", FOLDER, (), MACHINERY, Reference.ORGANIZES)
    return machines, Shape("DeviceSet", types.TOPOLOGY_ELEMENT, (), DI, Reference.COMPONENT)


def show(plan: ModelledPlan, machine: Machine, now: datetime) -> dict[str, Any]:
    """Return what every variable of a machine shows now, by its key."""
    hours = machine.hours
    shown: dict[str, Any] = {
        f"{plan.key}.PowerOnDuration": hours * _MS_PER_HOUR * 1.1,
        f"{plan.key}.OperationDuration": hours * _MS_PER_HOUR,
        f"{plan.key}.OperationCycleCounter": int(hours * CYCLES_PER_HOUR),
    }
    if plan.model is not Model.DEVICE:
        shown[f"{plan.key}.power"] = 18.0 if machine.running else 0.4
        shown[f"{plan.key}.state"] = LocalizedText(String("Executing" if machine.running else "OutOfService"))
    if plan.listening is not None:
        shown |= _vibration(plan, plan.listening, machine, now)
    for part in plan.parts:
        shown |= dict(_lives(plan, part, machine.slots[part.plan.key]))
    if plan.model is Model.MACHINE_TOOL:
        shown[f"{plan.key}.feed-override"] = 100.0
        for part in plan.parts:
            left = _left(part, machine.slots[part.plan.key]) * 24 / plan.hours_per_day
            shown[f"{plan.key}.{part.plan.key}.predicted"] = now + timedelta(hours=left)
    return shown


def listening_config(plan: ModelledPlan) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the tags and features by which a gateway's config would listen to a machine; empty where none can."""
    if plan.listening is None:
        return {}
    sensor, node = plan.listening.sensor, f"nsu={OWN};s="
    bearing = {
        "balls": sensor.bearing.balls,
        "ball_diameter": f"{sensor.bearing.ball_diameter_mm:g} mm",
        "pitch_diameter": f"{sensor.bearing.pitch_diameter_mm:g} mm",
        "contact_angle": f"{sensor.bearing.contact_angle_deg:g} deg",
    }
    raw = {"from": "vibration", "sampling_rate": f"{sensor.rate_hz:g} Hz"}
    return {
        "tags": {
            "vibration": {"node": node + plan.window, "unit": "m/s2", "window": True},
            "speed": {"node": node + plan.speed, "unit": "rpm"},
        },
        "features": {
            "outer-ring": {**raw, "kind": "envelope_bpfo", "shaft_speed": "speed", "bearing": bearing},
            "knock": {**raw, "kind": "kurtosis"},
        },
    }


def _vibration(plan: ModelledPlan, listening: Listening, machine: Machine, now: datetime) -> dict[str, Any]:
    """The speed first: a window is judged by the speed that is known when it comes. Its chance is that moment's own."""
    rpm = listening.speed_rpm if machine.running else 0.0
    wear, seed = machine.slots[listening.component].wear, int(now.timestamp() * 1e6)
    return {plan.speed: rpm, plan.window: listening.sensor.window(wear, rpm / 60, seed).tolist()}


def _lives(plan: ModelledPlan, part: Part, slot: Slot) -> Iterator[tuple[str, float]]:
    for life in part.lifetimes:
        share = slot.used / part.plan.law.life
        yield _life_key(plan.key, part, life), life.at(1.0 if slot.failed else share)


def _left(part: Part, slot: Slot) -> float:
    """Operating hours that the machine believes a part has left: by its maker's rating, for it knows no better."""
    return max(part.plan.law.life - slot.used, 0.0)


def filler(count: int, *, per_folder: int = 100, folders_per_area: int = 20) -> Shape:
    """Return an address space of so many variables in areas and folders, as a large plant's server has it."""
    areas = []
    for area in range(-(-count // (per_folder * folders_per_area))):
        cells = []
        for cell in range(folders_per_area):
            first = (area * folders_per_area + cell) * per_folder
            numbers = range(first, min(first + per_folder, count))
            if numbers:
                tags = tuple(_tag(number) for number in numbers)
                cells.append(Shape(f"Cell{cell:02}", FOLDER, tags, reference=Reference.ORGANIZES))
        areas.append(Shape(f"Area{area:03}", FOLDER, tuple(cells), reference=Reference.ORGANIZES))
    return Shape("Plant", FOLDER, tuple(areas), reference=Reference.ORGANIZES)


def _tag(number: int) -> Shape:
    return Shape(f"Tag{number:06}", VARIABLE, (), value=Value(VariantType.Double, float(number)), key=f"tag-{number}")
