"""What a belief and the advice on it look like ahead: when it fails, by when to decide, when a part would be there.

The figures are those of one belief and one advice, of now or as they were recorded; nothing is estimated or decided
here. Moments that lie beyond what the belief knows are None, and the words say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from gettext import gettext as _
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway import i18n
from gateway.views.texts import text_of
from maintenance.needs import Belief
from marketplace.documents import parse_timestamp
from marketplace.timing import TimingTerms

QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Failure probabilities whose moments are drawn and told."""
FAR: Final = timedelta(days=36_525)
"""Beyond a century a date says nothing, and some cannot be written in every time zone."""
NEAR: Final = timedelta(days=4)
"""A day says too little of what lies so near."""
EARLY, EARLY_HALF, EVEN, LATE_HALF, LATE = range(5)


@dataclass(frozen=True, slots=True)
class Foresight:
    """What lies ahead at `now`.

    fails: when the failure probability reaches each of `QUANTILES`, None beyond what is known. decide_by: the latest
    time to say yes, None where nothing is bought or it is beyond what is known. arrives: when a part that is decided
    on then is expected, None where that is not known or nothing is to come. known: whether it may be spent on without
    a person. coming: `arrives` is that of a part which is on its way, and nothing is to be decided.
    """

    now: datetime
    fails: tuple[datetime | None, ...]
    decide_by: datetime | None = None
    arrives: datetime | None = None
    known: bool = True
    coming: bool = False

    def words(self, zone: ZoneInfo) -> str:
        """Return the same in sentences; to the minute where all of it lies within days."""
        said = [self._failure(zone)]
        if self.decide_by is not None:
            said.append(_("Decide by {day}.").format(day=self._when(self.decide_by, zone)))
        if self.arrives is not None and self.coming:
            said.append(
                _("The part that is on its way is expected on {day}.").format(day=self._when(self.arrives, zone))
            )
        elif self.arrives is not None:
            said.append(_("A part decided on then is expected on {day}.").format(day=self._when(self.arrives, zone)))
        if not self.known:
            said.append(_("Too little is known to buy on this without a person."))
        return " ".join(said).replace(" %", "\N{NO-BREAK SPACE}%")

    def _when(self, at: datetime, zone: ZoneInfo) -> str:
        ahead = [each for each in (*self.fails, self.arrives) if each is not None]
        near = bool(ahead) and max(ahead) - self.now < NEAR
        return i18n.when(at, zone) if near else i18n.day(at, zone)

    def _failure(self, zone: ZoneInfo) -> str:
        early, even, late = (each and self._when(each, zone) for each in (self.fails[at] for at in (EARLY, EVEN, LATE)))
        if early is None:
            return _("Within what is known ahead it fails with a probability of less than 10 %.")
        if even is None:
            said = _("It fails with 10 % by {early}; even odds lie beyond what is known ahead.")
        elif late is None:
            said = _(
                "It fails with 10 % by {early} and as likely as not by {even}; 90 % lie beyond what is known ahead."
            )
        else:
            said = _("It fails with 10 % by {early}, as likely as not by {even}, with 90 % by {late}.")
        return said.format(early=early, even=even, late=late)

    def as_dict(self) -> dict[str, Any]:
        """Return the same for programs."""
        fails = {f"{share:g}": text_of(at) for share, at in zip(QUANTILES, self.fails, strict=True)}
        return {"fails": fails, "decide_by": text_of(self.decide_by), "arrives": text_of(self.arrives)}


def foresee(belief: Belief, now: datetime, by: TimingTerms | None, figures: Mapping[str, str]) -> Foresight:
    """Return what lies ahead by a belief, the terms that were weighed and the figures of the advice.

    by: None where nothing is bought. Raises ValueError for figures that no advice has.
    """
    fails = tuple(moment(belief, each) for each in QUANTILES)
    if by is None:
        return Foresight(now, fails, known=belief.known)
    if figures.get("here_after_hours"):  # nothing is to be ordered: it is on its way, or here
        away = timedelta(hours=float(figures["here_after_hours"]))
        return Foresight(now, fails, None, now + away if away else None, belief.known, coming=bool(away))
    told = figures.get("decide_by")
    decide_by = parse_timestamp(told) if told else None
    if decide_by is None or decide_by - now > FAR:
        return Foresight(now, fails, known=belief.known)
    return Foresight(now, fails, decide_by, max(decide_by, now) + _delay(by, figures), belief.known)


def under_way(seen: Foresight, expected: Iterable[datetime | None]) -> Foresight:
    """Return the same where parts are on their way: the last of them is what the job waits for."""
    moments = [each for each in expected if each is not None]
    return replace(seen, decide_by=None, arrives=max(moments), coming=True) if moments else seen


def _delay(terms: TimingTerms, told: Mapping[str, str]) -> timedelta:
    """Return how long after a decision a part is expected: its supply's mean delay, or what the config says."""
    chosen = [each for each in terms.supplies if each.supplier == told.get("supplier")]
    return timedelta(hours=chosen[0].delay) if chosen else terms.approval + terms.lead_time


def usual(belief: Belief, zone: ZoneInfo) -> str:
    """Return how far evidence has moved the belief from a part as new, in a sentence; "" where nobody says its life."""
    even = moment(belief, QUANTILES[EVEN])
    if belief.life is None or even is None:
        return ""
    try:
        life = timedelta(hours=belief.life / belief.use_per_hour)
    except OverflowError:
        return ""
    said = _("Such a part usually lasts {life} from new; by all of this, even odds are on {day}, {left} from then.")
    left = max(even - belief.as_of, timedelta(0))
    return said.format(life=i18n.span(life), day=i18n.day(even, zone), left=i18n.span(left))


def moment(belief: Belief, probability: float) -> datetime | None:
    """Return when failure reaches a probability; None beyond what is known or beyond a century."""
    try:
        length = belief.remaining_time(probability)
        return None if length is None or length > FAR else belief.as_of + length
    except OverflowError:  # it outlasts the calendar
        return None
