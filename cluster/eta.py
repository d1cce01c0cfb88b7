"""When a sweep will be over, from what each treatment took so far."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from sipa.trial import Trial


class Eta:
    """Expected seconds of each treatment, renewed with every trial.

    Args:
        seconds: treatment_id -> forecast before the first trial.
    """

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._forecast = dict(seconds)
        self._observed: dict[str, list[float]] = {}
        self._ratios: list[float] = []
        self._correction = 1.0

    def observe(self, treatment_id: str, seconds: float) -> None:
        """One trial of the treatment kept its node so long."""
        self._observed.setdefault(treatment_id, []).append(seconds)
        if self._forecast.get(treatment_id):
            self._ratios.append(seconds / self._forecast[treatment_id])
            self._correction = median(self._ratios)

    def seconds(self, treatment_id: str) -> float:
        """Expected for one trial: its own median, else the forecast times how wrong forecasts were."""
        if treatment_id in self._observed:
            return median(self._observed[treatment_id])
        return self._forecast.get(treatment_id, 0.0) * self._correction

    def left_s(self, nodes: Iterable[tuple[Sequence[Trial], float]]) -> float:
        """Seconds until the node that takes longest has nothing left.

        Args:
            nodes: of each node the trials before it, and the seconds that it is busy with other things.
        """
        known: dict[str, float] = {}
        longest = 0.0
        for queue, besides_s in nodes:
            total = besides_s
            for trial in queue:
                treatment = trial.treatment.treatment_id
                if treatment not in known:
                    known[treatment] = self.seconds(treatment)
                total += known[treatment]
            longest = max(longest, total)
        return longest
