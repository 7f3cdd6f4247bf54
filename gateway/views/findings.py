"""What a backtest or a shadow found, in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from gettext import gettext as _
from gettext import ngettext

from gateway.backtest.report import FAILURE, FORESIGHT, HAPPENED, RATED, Comparison


def compared(each: Comparison) -> str:
    """Return in one sentence what buying so would have saved against one other way."""
    names: Mapping[str, str] = {
        HAPPENED: _("what really happened"),
        RATED: _("replacing at the rated life"),
        FAILURE: _("ordering at the failure"),
        FORESIGHT: _("perfect foresight"),
    }
    saved = each.saving
    lives = ngettext("{n} life", "{n} lives", saved.lives).format(n=saved.lives)
    units = ngettext("{n} component", "{n} components", saved.units).format(n=saved.units)
    text = _("Against {what}, over {lives} of {units}: {amount:.2f} {currency} saved")
    if saved.amount < 0:
        text = _("Against {what}, over {lives} of {units}: {amount:.2f} {currency} more spent")
    amount, what = abs(saved.amount), names[each.against]
    said = text.format(what=what, lives=lives, units=units, amount=amount, currency=each.currency)
    if saved.interval is None:
        said += " " + _("(too few lives for an interval)")
    else:
        low, high = sorted(abs(each) for each in saved.interval) if saved.interval[1] < 0 else saved.interval
        said += " " + _("(95 % interval {low:.2f} to {high:.2f})").format(low=low, high=high)
    if saved.ratio is not None:
        said += ", " + _("{ratio:.2f} times its cost").format(ratio=saved.ratio)
    failures = _("failures {ours:.1f} instead of {theirs:.1f}")
    return f"{said}; {failures.format(ours=each.our_failures, theirs=each.their_failures)}."
