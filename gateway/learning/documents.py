"""What was taught, as text: its SHA-256 is its version, and what is of another version is not believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maintenance.learning import Learned


def written(document: Mapping[str, Any]) -> str:
    """Return a document as the text whose SHA-256 is its version."""
    return json.dumps(document, sort_keys=True)


def digest(document: str) -> str:
    """Return the version of a document."""
    return hashlib.sha256(document.encode()).hexdigest()


def checked(document: str, version: str) -> Learned:
    """Return the model of a document. Raises ValueError where it is not of that version, or of none that is known."""
    from maintenance.learning import learned_of  # a gateway that was taught nothing does not load it

    if digest(document) != version:
        raise ValueError("this model is not the one that was learned")
    model = learned_of(json.loads(document))
    model.__dict__["version"] = version  # what it would work out for itself, at length, where nobody may wait
    return model
