"""What measured parts taught, as a text that can be kept, sent and checked.

Promises: the text is JSON with a format, what the model was learned of (tags and units, in their order) and a digest
over all of it; one that is damaged, of another format, or learned of something else than it is to be used for is
refused with a sentence that says what to do. The same model gives the same text. Opens no file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from gettext import gettext as _
from typing import Any, Final

from connectors.samples import Tag
from maintenance.estimates import Estimate, Taught
from maintenance.wear_estimate import WearModel, feature_count

FORMAT: Final = 1
KIND: Final = "toolcrib wear model"


class ModelRefused(ValueError):
    """A model is not used; `str()` is the sentence that says why."""


def written(learned_for: Estimate, taught: Taught) -> str:
    """Return what was taught as a text that `read` takes."""
    document = {
        "kind": KIND,
        "format": FORMAT,
        **_purpose(learned_for),
        "seen": [list(each) for each in taught.seen],
        "model": taught.model.snapshot(),
    }
    return json.dumps({**document, "sha256": _digest(document)}, ensure_ascii=False, indent=1) + "\n"


def read(text: str, use: Estimate) -> Taught:
    """Return what a text teaches for a use. Raises `ModelRefused`."""
    document = _document(text)
    if document.get("format") != FORMAT:
        raise ModelRefused(_("it is of another format than this program reads: learn it anew"))
    digest = document.pop("sha256", None)
    if digest != _digest(document):
        raise ModelRefused(
            _("it is not as it was written, its digest does not fit: learn it anew, or restore the file")
        )
    for key, wanted in _purpose(use).items():
        if document.get(key) != wanted:
            sentence = _("it was learned for other {what} than the config names now: learn it anew")
            raise ModelRefused(sentence.format(what=key))
    try:
        taught = Taught(WearModel.of(document["model"]), _pairs(document["seen"]), str(digest))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(_("its parameters are not those of a model: learn it anew")) from error
    _require_sound(taught, use, document)
    return taught


def sealed(learned_for: Estimate, taught: Taught) -> Taught:
    """Return what was taught with its version."""
    return replace(taught, version=str(json.loads(written(learned_for, taught))["sha256"]))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelRefused(_("it is no JSON: learn it anew, or restore the file")) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ModelRefused(_("it is no wear model: name the file that 'toolcrib learn' wrote"))
    return document


def _purpose(use: Estimate) -> dict[str, Any]:
    """What a model was learned of; machines of a kind share one, so the machine is not in it."""

    def named(tags: tuple[Tag, ...]) -> list[list[str]]:
        return [[tag.key.partition("/")[2], tag.unit] for tag in tags]

    return {"unit": use.unit, "signals": named(use.signals), "clocks": named(use.clocks), "every": use.every}


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _pairs(value: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(low), float(high)) for low, high in value)


def _require_sound(taught: Taught, use: Estimate, document: dict[str, Any]) -> None:
    """A digest says that nobody changed it by accident; numbers must make sense whoever wrote them."""
    model, features = taught.model, feature_count(len(use.clocks), len(use.signals))
    sound = (
        (model.clocks, model.signals, len(taught.seen)) == (len(use.clocks), len(use.signals), len(use.signals))
        and all(isinstance(term.feature, int) and 0 <= term.feature < features for term in model.terms)
        and all(math.isfinite(each) for each in _numbers([document["model"], document["seen"]]))
        and all(term.spread > 0 and term.low <= term.high for term in model.terms)
        and all(low <= high for low, high in taught.seen)
        and model.floor > 0
        and model.share >= 0
    )
    if not sound:
        raise ModelRefused(_("its parameters are not those of a model: learn it anew"))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    else:
        yield float(value) if isinstance(value, int | float) else math.nan
