"""`plan`: the whole preview, and nothing is written."""

import json
from dataclasses import replace
from pathlib import Path

from cluster.cli.preview import forecast_lines, states
from cluster.survey import Request, survey
from sipa.plan import Amount
from sipa.spec import load_spec
from tests.cluster.cli.calling import Invoke, Sweep, ran
from tests.cluster.scripted import failure_of
from tests.cluster.sweeps import fast


def test_plan_before_the_first_run(invoke: Invoke) -> None:
    Path("fast.toml").write_text(fast(repetitions=4))
    said = invoke("plan", "fast.toml")
    assert said.exit_code == 0
    assert "3 treatments x 4 repetitions = 12 trials" in said.stdout
    assert "12 to run" in said.stdout
    assert "... and 2 more to run (--all shows them)" in said.stdout
    assert "not known: the sweep file has no [prices]" in said.stdout
    assert not Path("results").exists()


def test_plan_all_shows_every_trial_with_its_state(swept: Sweep, invoke: Invoke) -> None:
    swept.file.write_text(fast(repetitions=3))
    said = invoke("plan", swept.file, "--all")
    lines = [line.split() for line in said.stdout.splitlines()]
    assert sum(line[-1:] == ["done"] and line[0].isdigit() for line in lines) == 6
    assert sum(line[-2:] == ["to", "run"] and line[0].isdigit() for line in lines) == 3


def test_plan_of_a_finished_sweep_says_nothing_to_do(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("plan", swept.file)
    assert "nothing to do" in said.stdout
    assert "time " not in said.stdout


def test_plan_json_agrees_with_the_rows(swept: Sweep, invoke: Invoke) -> None:
    swept.file.write_text(fast(factors={"x": "[1, 2, 5]"}))
    said = invoke("plan", swept.file, "--json")
    record = json.loads(said.stdout)
    assert said.stdout.count("\n") == 1
    assert (record["planned"], record["committed"], record["remaining"]) == (6, 4, 2)
    assert len(record["superseded"]) == 2
    assert {each["trial_id"] for each in record["trials"] if each["state"] == "done"} <= {
        path.stem for path in (swept.folder / "trials").iterdir()
    }
    assert [each["planned_position"] for each in record["trials"]] == list(range(6))
    assert {each["parameters"]["x"] for each in record["treatments"]} == {1, 2, 5}


def test_failed_trials_are_named(tmp_path: Path, invoke: Invoke) -> None:
    sweep = ran(tmp_path, lambda order: failure_of(order, "WorkloadError"), max_failures=2)
    said = invoke("plan", sweep.file)
    assert "2 failed, 4 to run" in said.stdout


def test_a_replicate_is_planned_anew(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("plan", swept.file, "--replicate", "again")
    assert "6 to run" in said.stdout


def test_states_are_complete(swept: Sweep) -> None:
    state = states(survey(Request(spec=load_spec(swept.file), results=swept.results)))
    assert set(state.values()) == {"done"}
    assert len(state) == 6


def test_forecast_has_interval_money_and_assumptions(swept: Sweep) -> None:
    seen = survey(Request(spec=load_spec(swept.file), results=swept.results, replicate="again"))
    forecast = replace(
        seen.forecast,
        wall_s=4000,
        wall_interval_s=(3000, 5000),
        energy_j=Amount(value=1.5e6, reason="measured"),
        cost=Amount(value=3.5, reason="node hours"),
        currency="EUR",
        service_units=Amount(value=12, reason="lease"),
        assumptions=("one thing",),
    )
    assert list(forecast_lines(forecast)) == [
        "",
        "time    1 h 06 min (95 %: 50 min 00 s to 1 h 23 min)",
        "energy  1.50 MJ (measured)",
        "cost    3.50 EUR (node hours)",
        "charge  12.00 SU (lease)",
        "assumed one thing",
    ]
