"""What the controller costs a trial: a thousand trials that take no time, on a file system whose fsync is free.

Expected: at most 5 ms each outside the trial's own process and the fsync. Reported in milliseconds, asserted as a ratio
to writing the same thousand rows with nothing around it, in the same run.
"""

import os
import shutil
import time
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cluster.loop import Stop
from cluster.survey import Request, survey
from cluster.sweep import run_with
from sipa.results.schema import own_columns, to_table
from sipa.spec import parse_spec
from tests.cluster.scripted import ScriptedWorkers, row_of
from tests.cluster.sweeps import fast

TRIALS = 1000
MAX_RATIO = 6.0


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A folder in memory where there is one."""
    if os.access("/dev/shm", os.W_OK):
        return Path("/dev/shm") / f"sipa-bench-{os.getpid()}-{tmp_path.name}"
    return tmp_path


@pytest.mark.bench
@pytest.mark.timeout(600)
def test_a_thousand_trials(benchmark: BenchmarkFixture, memory: Path) -> None:
    spec = parse_spec(fast(factors={"x": str(list(range(TRIALS)))}, repetitions=1), memory / "sweep.toml")
    fresh = (memory / f"results-{number}" for number in count())
    orders = []

    def sweep() -> None:
        workers = ScriptedWorkers()
        run_with(
            survey(Request(spec=spec, results=next(fresh), lock=memory / "lock")),
            workers,
            emit=lambda _: None,
            stop=Stop(),
        )
        orders[:] = workers.orders

    memory.mkdir(exist_ok=True)
    try:
        benchmark.pedantic(sweep, rounds=3, warmup_rounds=1)
        began = time.perf_counter()
        for order in orders:
            pq.write_table(to_table(row_of(order), own_columns(spec)), memory / f"{order.trial.trial_id}.parquet")
        bare_s = time.perf_counter() - began
    finally:
        shutil.rmtree(memory, ignore_errors=True)
    each_ms = benchmark.stats.stats.median / TRIALS * 1e3
    benchmark.extra_info.update(
        ms_per_trial=round(each_ms, 2), ratio_to_bare_rows=round(each_ms / (bare_s / TRIALS * 1e3), 2)
    )
    print(f"\ncontroller: {each_ms:.2f} ms a trial; {bare_s / TRIALS * 1e3:.2f} ms for the bare row")
    assert each_ms / 1e3 * TRIALS / bare_s < MAX_RATIO
