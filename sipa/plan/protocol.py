"""The name of a way of measuring: a hash over the settings of [measurement] that can change a number.

Changing one of them re-runs the sweep; changing the deadline, limits, prices or the testbed re-runs nothing.
"""

from sipa.spec.model import MeasurementSpec, Meter, SweepSpec
from sipa.trial import canonical, digest

CHANGES_NO_NUMBER = frozenset({"deadline_s", "control_s"})
"""Left out: a deadline decides whether there is a row, and the control runs between trials: no number hangs on them."""


def protocol_id(spec: SweepSpec) -> str:
    """The content address of how a sweep measures: 16 hex digits."""
    return digest(_settings(spec.measurement))


def _settings(measurement: MeasurementSpec) -> dict[str, object]:
    return {
        "meter": [str(meter) for meter in measurement.meter],
        "idle_s": canonical(measurement.idle_s),
        "min_window_s": canonical(measurement.min_window_s),
        "warmup_max_s": canonical(measurement.warmup_max_s),
        "cooldown_within_c": canonical(measurement.cooldown_within_c),
        "cooldown_timeout_s": canonical(measurement.cooldown_timeout_s),
        "max_foreign_cores": canonical(measurement.max_foreign_cores),
        "gates": str(measurement.gates),
        "governor": measurement.governor,
        "turbo": measurement.turbo,
        "scope": str(measurement.scope),
        "model": _model(measurement),
    }


def _model(measurement: MeasurementSpec) -> dict[str, object] | None:
    """The declared watts; they change nothing where the model is not among the meters."""
    if measurement.model is None or Meter.MODEL not in measurement.meter:
        return None
    return {"idle_w": canonical(measurement.model.idle_w), "max_w": canonical(measurement.model.max_w)}
