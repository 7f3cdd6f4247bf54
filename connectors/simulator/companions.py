"""The types of the companion specifications that the simulated machines are made of, by their standards' numbers.

As much of OPC 10000-100 (Devices), OPC 40001-1 (Machinery) and OPC 40501-1 (Machine Tools) as a machine shows that
tells how long its parts last: identification, components, counters, lifetimes, prognoses. It is written from the
standards' tables; no published NodeSet is copied. A reader finds these types by name and namespace, as on any server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asyncua.ua.object_ids import ObjectIds

from connectors.simulator.shape import ANALOG, BASE_OBJECT, FOLDER, PROPERTY, UA, VARIABLE, TypeName

DI: Final = "http://opcfoundation.org/UA/DI/"
MACHINERY: Final = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL: Final = "http://opcfoundation.org/UA/MachineTool/"

STANDARD: Final = {
    BASE_OBJECT: ObjectIds.BaseObjectType,
    FOLDER: ObjectIds.FolderType,
    VARIABLE: ObjectIds.BaseDataVariableType,
    PROPERTY: ObjectIds.PropertyType,
    ANALOG: ObjectIds.AnalogUnitType,
    TypeName(UA, "BaseInterfaceType"): ObjectIds.BaseInterfaceType,
    TypeName(UA, "FiniteStateMachineType"): ObjectIds.FiniteStateMachineType,
}
"""Types that every server has (OPC 10000-5), by their number in namespace 0."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A type: its name, its number in its namespace, what it is a subtype of, and whether instances are variables."""

    name: TypeName
    number: int
    parent: TypeName
    variable: bool = False


def _interface(space: str, name: str, number: int) -> Definition:
    return Definition(TypeName(space, name), number, TypeName(UA, "BaseInterfaceType"))


def _object(space: str, name: str, number: int, parent: TypeName = BASE_OBJECT) -> Definition:
    return Definition(TypeName(space, name), number, parent)


TOPOLOGY_ELEMENT: Final = TypeName(DI, "TopologyElementType")
DI_COMPONENT: Final = TypeName(DI, "ComponentType")
DEVICE: Final = TypeName(DI, "DeviceType")
FUNCTIONAL_GROUP: Final = TypeName(DI, "FunctionalGroupType")
OPERATION_COUNTER: Final = TypeName(DI, "IOperationCounterType")
LIFETIME: Final = TypeName(DI, "LifetimeVariableType")
INDICATION: Final = TypeName(DI, "BaseLifetimeIndicationType")

DEVICES: Final = (
    _object(DI, "TopologyElementType", 1001),
    _object(DI, "ComponentType", 15063, TOPOLOGY_ELEMENT),
    _object(DI, "DeviceType", 1002, DI_COMPONENT),
    _object(DI, "FunctionalGroupType", 1005, FOLDER),
    _interface(DI, "IOperationCounterType", 480),
    Definition(LIFETIME, 468, ANALOG, variable=True),
    _object(DI, "BaseLifetimeIndicationType", 473),
    _object(DI, "TimeIndicationType", 474, INDICATION),
    _object(DI, "NumberOfPartsIndicationType", 475, INDICATION),
    _object(DI, "NumberOfUsagesIndicationType", 476, INDICATION),
    _object(DI, "LengthIndicationType", 477, INDICATION),
    _object(DI, "DiameterIndicationType", 478, INDICATION),
    _object(DI, "SubstanceVolumeIndicationType", 479, INDICATION),
)
"""OPC 10000-100: clauses 4 to 9 for topology and components, 10 for lifetimes."""

ITEM_IDENTIFICATION: Final = TypeName(MACHINERY, "MachineryItemIdentificationType")
MACHINE_IDENTIFICATION: Final = TypeName(MACHINERY, "MachineIdentificationType")
COMPONENT_IDENTIFICATION: Final = TypeName(MACHINERY, "MachineryComponentIdentificationType")
MACHINE_COMPONENTS: Final = TypeName(MACHINERY, "MachineComponentsType")
OPERATION_COUNTERS: Final = TypeName(MACHINERY, "MachineryOperationCounterType")
LIFETIME_COUNTERS: Final = TypeName(MACHINERY, "MachineryLifetimeCounterType")
ITEM_STATE: Final = TypeName(MACHINERY, "MachineryItemState_StateMachineType")

MACHINES: Final = (
    _object(MACHINERY, "MachineryItemIdentificationType", 1004, FUNCTIONAL_GROUP),
    _object(MACHINERY, "MachineIdentificationType", 1012, ITEM_IDENTIFICATION),
    _object(MACHINERY, "MachineryComponentIdentificationType", 1005, ITEM_IDENTIFICATION),
    _object(MACHINERY, "MachineComponentsType", 1006, FOLDER),
    _object(MACHINERY, "MachineryOperationCounterType", 1009, FUNCTIONAL_GROUP),
    _object(MACHINERY, "MachineryLifetimeCounterType", 1015, FOLDER),
    _object(MACHINERY, "MachineryItemState_StateMachineType", 1002, TypeName(UA, "FiniteStateMachineType")),
)
"""OPC 40001-1: clauses 8 for identification and components, 12 for the state, 14 and 15 for the counters."""

PROGNOSIS: Final = TypeName(MACHINE_TOOL, "PrognosisType")
PROGNOSIS_LIST: Final = TypeName(MACHINE_TOOL, "PrognosisListType")
MACHINE_TOOL_TYPE: Final = TypeName(MACHINE_TOOL, "MachineToolType")
TOOL: Final = TypeName(MACHINE_TOOL, "ToolType")
BASE_TOOL: Final = TypeName(MACHINE_TOOL, "BaseToolType")
TOOL_LIFE: Final = TypeName(MACHINE_TOOL, "ToolLifeType")

MACHINE_TOOLS: Final = (
    _object(MACHINE_TOOL, "MachineToolType", 13),
    _object(MACHINE_TOOL, "MachineToolIdentificationType", 11, MACHINE_IDENTIFICATION),
    _object(MACHINE_TOOL, "MonitoringType", 14),
    _object(MACHINE_TOOL, "MachineOperationMonitoringType", 26),
    _object(MACHINE_TOOL, "NotificationType", 7),
    _object(MACHINE_TOOL, "PrognosisListType", 2),
    _object(MACHINE_TOOL, "PrognosisType", 3),
    _object(MACHINE_TOOL, "MaintenancePrognosisType", 9, PROGNOSIS),
    _object(MACHINE_TOOL, "ManualActivityPrognosisType", 10, PROGNOSIS),
    _object(MACHINE_TOOL, "UtilityChangePrognosisType", 6, PROGNOSIS),
    _object(MACHINE_TOOL, "ToolChangePrognosisType", 45, PROGNOSIS),
    _object(MACHINE_TOOL, "ToolLoadPrognosisType", 4, PROGNOSIS),
    _object(MACHINE_TOOL, "EquipmentType", 12),
    _object(MACHINE_TOOL, "ToolListType", 44),
    _object(MACHINE_TOOL, "BaseToolType", 49),
    _object(MACHINE_TOOL, "ToolType", 50, BASE_TOOL),
    Definition(TOOL_LIFE, 61, VARIABLE, variable=True),
)
"""OPC 40501-1: the machine tool, what it monitors, its tools and their lives, its prognoses."""

TYPES: Final = (*DEVICES, *MACHINES, *MACHINE_TOOLS)
