"""What people and programs look at: read-only queries, answered as frozen values that know their own JSON.

Nothing here decides, writes or acts. Every function takes open connections and says whose rows it reads. `as_dict`
holds texts for amounts and decimals, RFC 3339 for times and null for what is not known; its keys stay.
"""

from gateway.views.components import ComponentPlan, NeedView, need_view, need_views, under_way
from gateway.views.conditions import ConditionsView, ConditionView, GroupView, conditions_view
from gateway.views.entries import AuditEntryView, AuditView, audit, history
from gateway.views.halts import AlarmView, HaltView, open_alarms, standing
from gateway.views.jobs import JobLineView
from gateway.views.learning import KindView, kind_views
from gateway.views.purchases import WAITING, LineView, OrderView, SetApartView, order, orders, set_apart, waiting
from gateway.views.quotations import OfferView, offers

__all__ = [
    "WAITING",
    "AlarmView",
    "AuditEntryView",
    "AuditView",
    "ComponentPlan",
    "ConditionView",
    "ConditionsView",
    "GroupView",
    "HaltView",
    "JobLineView",
    "KindView",
    "LineView",
    "NeedView",
    "OfferView",
    "OrderView",
    "SetApartView",
    "audit",
    "conditions_view",
    "history",
    "kind_views",
    "need_view",
    "need_views",
    "offers",
    "open_alarms",
    "order",
    "orders",
    "set_apart",
    "standing",
    "under_way",
    "waiting",
]
