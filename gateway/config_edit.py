"""Changes of the config's file by commands: comments stay, and a change that would be a mistake is never written.

Promises: the file is replaced whole and durably, or not at all; what is written has been read and judged as `check`
does. Refuses to know who wants what changed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from gateway.config import Config, judged
from gateway.durable import write_durably
from gateway.yaml_file import parse

WIDTH = 4096
"""Characters of a line before it is folded; people read tags in one line each."""


def edited(path: Path, edit: Callable[[Any], None]) -> str:
    """Return the text of a config after an edit of its document, comments kept. Raises OSError."""
    yaml = _yaml()
    document = yaml.load(path.read_text(encoding="utf-8"))
    edit(document)
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def replace(path: Path, text: str) -> None:
    """Put a text in the place of a config, if it has no mistake. Raises `Mistakes`, OSError; then nothing changed."""
    judge(path, text)
    write_durably(path, text.encode())


def judge(path: Path, text: str) -> Config:
    """Return the config that a text in the place of another would be, which stays. Raises `Mistakes`."""
    return judged(path.absolute(), parse(text.encode(), path.name))


def flow(values: dict[str, Any]) -> Any:
    """Return a mapping that is written in one line."""
    from ruamel.yaml.comments import CommentedMap

    made = CommentedMap(values)
    made.fa.set_flow_style()
    return made


def block(values: Mapping[str, Any]) -> Any:
    """Return a mapping that is written with a line for each key."""
    from ruamel.yaml.comments import CommentedMap

    made = CommentedMap(values)
    made.fa.set_block_style()
    return made


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
