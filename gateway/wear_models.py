"""What was learned of wear, from the files that a config names: each is used or refused by itself, with one sentence.

A missing or damaged file takes away its own estimate and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maintenance.estimates import Estimate, Taught, estimate, wearing_by
from maintenance.wear_file import ModelRefused, read

if TYPE_CHECKING:
    from gateway.config import Config

BYTES_MAX: Final = 1_000_000
"""A model takes a few thousand; more is another file."""


def estimated(config: Config) -> dict[str, Estimate]:
    """Return every estimate of a config without a mistake, by `machine/estimate`, with its model or why it has none."""
    return {key: _estimate(config, key) for key in config.estimates}


def untaught(config: Config, key: str) -> Estimate:
    """Return an estimate without what was learned for it."""
    machine, _slash, name = key.partition("/")
    own = {
        each.removeprefix(f"{machine}/"): said
        for each, said in config.components.items()
        if each.startswith(f"{machine}/")
    }
    (component,) = wearing_by(name, own)
    return estimate(config.estimates[key], machine, component, config.units_of(machine), None, "")


def _estimate(config: Config, key: str) -> Estimate:
    bare = untaught(config, key)
    file = config.base / config.estimates[key].model
    try:
        taught: Taught | None = read(_text(file, bare.component), bare)
        trouble = ""
    except ModelRefused as error:
        sentence = _("the wear {key} is not estimated: {file} is refused, {reason}")
        taught, trouble = None, sentence.format(key=key, file=config.estimates[key].model, reason=error)
    except OSError as error:
        sentence = _(
            "the wear {key} is not estimated: {file} cannot be read ({reason}); 'toolcrib learn {component}' writes it"
        )
        said: Mapping[str, object] = {"key": key, "file": config.estimates[key].model, "component": bare.component}
        taught, trouble = None, sentence.format(**said, reason=error.strerror or error)
    return Estimate(bare.component, bare.unit, bare.signals, bare.clocks, bare.every, taught, trouble)


def _text(file: Path, component: str) -> str:
    with file.open("rb") as opened:
        content = opened.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise ModelRefused(_("it is too large for a model: name the file that 'toolcrib learn' wrote"))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelRefused(_("it is no text: learn it anew, or restore the file")) from error
