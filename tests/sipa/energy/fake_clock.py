"""Time that passes only when it is told to, and power that is drawn meanwhile."""

from tests.sipa.energy.powercap_tree import PowercapTree


class FakeClock:
    """A monotonic clock in nanoseconds."""

    def __init__(self) -> None:
        self.now_ns = 10**9

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * 1e9)


def run(tree: PowercapTree, clock: FakeClock, seconds: float, **power_w: float) -> None:
    """Let time pass at the given power of each domain."""
    for domain, power in power_w.items():
        tree.advance(domain, power * seconds)
    clock.sleep(seconds)
