"""What timing says of every need, for whoever looks: as it was said at the last decision step, while that stands.

It stands while the need is the one that it was said of and all that it was weighed on is as it was: what the config and
the store say at its moment gives the very same terms. Else timing is asked anew, as it would be at a step now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.circumstances import Circumstances, refined
from maintenance.needs import Need
from marketplace.store import Owner
from marketplace.timing import Advice, TimingTerms, advise


async def advices(
    spend: AsyncConnection,
    owner: Owner,
    needs: Sequence[Need],
    said: Mapping[str, TimingTerms],
    circumstances: Circumstances,
    now: datetime,
    newest: Mapping[str, Advice],
) -> dict[str, Advice]:
    """Return the advice on every need of which the config says any terms (`said`), by component. newest: the step's."""
    bought = [need for need in needs if need.component in said]
    of_step = {need.component: newest[need.component] for need in bought if _is_of(need, newest)}
    found = {}
    if of_step:
        moment = max(advice.weighed.now for advice in of_step.values())
        terms = await refined(spend, owner, needs, said, circumstances, moment)
        found = {key: advice for key, advice in of_step.items() if advice.weighed.terms == terms[key]}
    anew = [need for need in bought if need.component not in found]
    if anew:
        terms = await refined(spend, owner, needs, said, circumstances, now)
        found |= {need.component: advise(need.belief, terms[need.component], now) for need in anew}
    return found


def _is_of(need: Need, newest: Mapping[str, Advice]) -> bool:
    """Whether a step's advice is on this need: every step forms its beliefs anew, at its own moment."""
    advice = newest.get(need.component)
    return advice is not None and advice.weighed.now == need.belief.as_of
