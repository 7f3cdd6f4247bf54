"""Which clock people mean when they tell a use: a reading that somebody typed in, or what a part had run before.

A part may wear by several clocks. Promises: a unit that fits one clock alone names it; where it does not, nothing is
guessed, and the sentence names the clocks. Functions of their arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from gettext import gettext as _

from connectors.samples import Measure
from maintenance.settings import (
    ClockSettings,
    ComponentSettings,
    LevelWear,
    ModesWear,
    UsageWear,
    clock_unit,
    counter_unit,
    in_unit,
    is_convertible,
    of_mode,
)


def clock_read(
    component: ComponentSettings, tags: Mapping[str, str], value: Measure, clock: str = ""
) -> tuple[str, float]:
    """Return which clock a typed reading is of ("" where there is but one) and what it says in that clock's unit.

    Without a name it is the one clock that the reading's unit fits. Raises ValueError with a sentence.
    """
    wear, clocks = component.wear, _clocks(component)
    if isinstance(wear, ModesWear):
        return _mode_read(component, wear, tags, value, clock)
    if clock and clock not in clocks:
        raise ValueError(_("there is no clock {clock}; {clocks}").format(clock=clock, clocks=_listed(clocks)))
    if isinstance(wear, LevelWear):
        return "", in_unit(value, wear.limit.unit)
    if not clocks:
        return "", in_unit(value, clock_unit(wear, tags))
    units = {name: counter_unit(each, tags) for name, each in clocks.items() if clock in ("", name)}
    fitting = [name for name, unit in units.items() if is_convertible(value.unit, unit)]
    if len(fitting) == 1:
        return fitting[0], in_unit(value, units[fitting[0]])
    if not fitting:
        sentence = _("{measure} is in the unit of no clock that is meant; {clocks}")
        raise ValueError(sentence.format(measure=value, clocks=_listed(clocks)))
    sentence = _("{measure} may be of several clocks, so nothing is taken; say which: {clocks}")
    raise ValueError(sentence.format(measure=value, clocks=", ".join(fitting)))


def _mode_read(
    component: ComponentSettings, wear: ModesWear, tags: Mapping[str, str], value: Measure, name: str
) -> tuple[str, float]:
    """Return which mode a typed reading is of, and what it says in the unit of that mode."""
    if name not in wear.modes:
        sentence = _("this component wears in several ways; say which was read: {modes}")
        raise ValueError(sentence.format(modes=", ".join(wear.modes)))
    return name, clock_read(of_mode(component, wear.modes[name]), tags, value)[1]


def _clocks(component: ComponentSettings) -> Mapping[str, ClockSettings]:
    return component.wear.clocks if isinstance(component.wear, UsageWear) else {}


def _listed(clocks: Iterable[str]) -> str:
    names = ", ".join(clocks)
    return _("its clocks are {names}").format(names=names) if names else _("it has but one")


def use_before(component: ComponentSettings, tags: Mapping[str, str], used: Measure) -> float:
    """Return what a part had run when it was fitted, as `Life.used_before` has it. Raises ValueError.

    Nothing is nothing in any unit and on every clock; anything else speaks for the first clock alone, in its unit.
    """
    if used.value == 0:
        return 0.0
    if isinstance(component.wear, ModesWear):
        return use_before(of_mode(component, next(iter(component.wear.modes.values()))), tags, used)
    first = next(iter(_clocks(component).values()), None)
    return in_unit(used, clock_unit(component.wear, tags) if first is None else counter_unit(first, tags))
