"""The science of sipa-cluster: what a trial is, what its numbers mean, and what they say.

Public names are loaded when they are first used, so that `import sipa` costs nothing:

    import sipa
    trials = sipa.load("results/quickstart")
    with sipa.EnergyMeter() as meter, meter.window("inference") as window: ...
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipa.analysis.stats import summarize
    from sipa.energy.meter import EnergyMeter
    from sipa.energy.power_model import PowerModel
    from sipa.results.store import load
    from sipa.spec import load_spec

__version__ = "0.1.0"
__all__ = ["EnergyMeter", "PowerModel", "__version__", "load", "load_spec", "summarize"]

_HOMES = {
    "EnergyMeter": "sipa.energy.meter",
    "PowerModel": "sipa.energy.power_model",
    "load": "sipa.results.store",
    "load_spec": "sipa.spec",
    "summarize": "sipa.analysis.stats",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sipa' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
