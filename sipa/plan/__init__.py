"""Planning a sweep: which trials, in which order, on which node, how long, and when it is enough.

All of it is pure. `sipa.plan.table` and `sipa.plan.coverage` need pyarrow and numpy and are imported by name.
"""

from sipa.plan.assign import Assignment, assign, moved
from sipa.plan.durations import Basis, Duration, Durations, durations
from sipa.plan.expand import Contents, combinations, expand
from sipa.plan.forecast import Amount, Forecast, forecast
from sipa.plan.plan import Plan, make_plan
from sipa.plan.protocol import protocol_id
from sipa.plan.stopping import remaining, stopped, stopped_after

__all__ = [
    "Amount",
    "Assignment",
    "Basis",
    "Contents",
    "Duration",
    "Durations",
    "Forecast",
    "Plan",
    "assign",
    "combinations",
    "durations",
    "expand",
    "forecast",
    "make_plan",
    "moved",
    "protocol_id",
    "remaining",
    "stopped",
    "stopped_after",
]
