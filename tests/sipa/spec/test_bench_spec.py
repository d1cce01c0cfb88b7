"""How long reading a sweep file takes."""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from sipa.errors import SpecError
from sipa.spec import load_spec, parse_spec

QUICKSTART = Path(__file__).parents[3] / "jobs" / "sweeps" / "quickstart.toml"


@pytest.mark.bench
def test_loading_the_quickstart(benchmark: BenchmarkFixture) -> None:
    assert benchmark(load_spec, QUICKSTART).name == "quickstart"


@pytest.mark.bench
def test_a_long_file_with_a_problem_on_every_line(benchmark: BenchmarkFixture) -> None:
    entries = "".join(f"    {{ weights = 'w', batch_size = -{n} }},\n" for n in range(1, 301))
    head = 'schema = 1\nname = "x"\n[workload]\nkind = "detection"\n[factors]\nweights = ["a"]\nbatch_size = [1]\n'
    text = f"{head}[design]\ninclude = [\n{entries}]\n"

    def problems() -> int:
        with pytest.raises(SpecError) as caught:
            parse_spec(text, "x.toml")
        return len(caught.value.problems)

    assert benchmark(problems) == 300
