import json
import math
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sipa
from sipa.analysis.advice import advise
from sipa.analysis.stats import SweepSummary, natural, summarize
from sipa.analysis.tables import frame, records, text_table
from sipa.errors import ResultsError, UsageError
from tests.sipa.analysis.rows import Sweep, command, detection


def trials_of(sweep: Sweep, folder: Path) -> pd.DataFrame:
    return sipa.load(sweep.write(folder))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return trials_of(detection(), tmp_path_factory.mktemp("results") / "quickstart")


def test_parameters_that_vary_are_found_and_those_that_do_not_are_said(measured: pd.DataFrame) -> None:
    summary = summarize(measured)
    assert summary.factors == ("weights", "batch_size")
    assert summary.fixed == {"dataset": "digits"}
    assert len(summary.treatments) == 12
    assert {each.n for each in summary.treatments} == {3}


def test_means_are_those_of_pandas(measured: pd.DataFrame) -> None:
    expected = measured.groupby("treatment_id")["energy_per_image_j"].agg(["mean", "std"])
    for each in summarize(measured).treatments:
        found = each.metrics["energy_per_image_j"]
        assert found.mean == pytest.approx(expected.loc[each.treatment_id, "mean"])
        assert found.sd == pytest.approx(expected.loc[each.treatment_id, "std"])


def test_levels_stand_in_the_order_of_the_spec_or_as_people_order_them(measured: pd.DataFrame) -> None:
    by_hand = ["digits-nano", "digits-micro", "digits-small", "digits-base"]
    assert list(summarize(measured, levels={"weights": by_hand}).levels["weights"]) == by_hand
    assert list(summarize(measured).levels["weights"]) == sorted(by_hand)
    assert summarize(measured).levels["batch_size"] == (1, 4, 16)


def test_digits_inside_names_count_as_numbers() -> None:
    assert sorted(["a10", "a9", "b", "a"], key=natural) == ["a", "a9", "a10", "b"]
    assert sorted([None, "x", 10, 9.5, True], key=natural) == [True, 9.5, 10, "x", None]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(measured: pd.DataFrame, order: random.Random) -> None:
    places = list(range(len(measured)))
    order.shuffle(places)
    assert summarize(measured.iloc[places]) == summarize(measured)


def test_rows_that_are_not_valid_are_counted_and_named_but_not_averaged(tmp_path: Path) -> None:
    sweep = detection()
    spoiled = sweep.rows[0]
    spoiled.update(valid=False, flags=["energy implausible: package-0"], energy_per_image_j=1e9)
    trials = trials_of(sweep, tmp_path / "s")
    summary = summarize(trials)
    hit = next(each for each in summary.treatments if each.treatment_id == spoiled["treatment_id"])
    assert (hit.n, hit.n_valid, hit.metrics["energy_per_image_j"].n) == (3, 2, 2)
    assert hit.metrics["energy_per_image_j"].mean < 1e6
    assert summary.doubts == {"energy implausible": 1}
    assert "1 of 36 rows are not valid and are not averaged: energy implausible (1)." in advise(summary)
    assert "2/3" in {row[2] for row in text_table(summary, trials).rows}

    asked = summarize(trials, with_invalid=True)
    hit = next(each for each in asked.treatments if each.treatment_id == spoiled["treatment_id"])
    assert hit.metrics["energy_per_image_j"].mean > 1e6
    assert "averaged all the same, as asked" in advise(asked)[0]


def test_a_flag_that_only_informs_leaves_the_row_in_the_mean(tmp_path: Path) -> None:
    sweep = detection()
    sweep.rows[0]["flags"] = ["foreign CPU: 0.2 cores"]
    summary = summarize(trials_of(sweep, tmp_path / "s"))
    assert summary.n_valid == 36
    assert summary.doubts == {}


def test_no_valid_row_gives_no_mean(tmp_path: Path) -> None:
    sweep = detection(repetitions=1)
    for row in sweep.rows:
        row["valid"] = False
    summary = summarize(trials_of(sweep, tmp_path / "s"))
    assert all(estimate.mean is None for each in summary.treatments for estimate in each.metrics.values())
    assert summary.doubts == {"no reason given": 12}
    assert "12 of 12 treatments have no valid row, so they have no mean." in advise(summary)


def test_measured_and_estimated_energy_never_share_a_column(tmp_path: Path) -> None:
    sweep = detection("mixed", weights={"a": (0.5, 0.01)})
    other = detection("mixed", source="model", weights={"b": (0.6, 0.02)})
    for place, row in enumerate(other.rows, start=len(sweep.rows)):
        row.update(planned_position=place, position=place)
    sweep.rows += other.rows
    summary = summarize(trials_of(sweep, tmp_path / "s"))
    for each in summary.treatments:
        measured, estimated = (each.metrics[f"energy_{part}per_image_j"].n for part in ("", "estimated_"))
        assert (measured, estimated) == ((3, 0) if each.parameters["weights"] == "a" else (0, 3))


def test_a_command_sweep_has_its_own_factors_and_metrics(tmp_path: Path) -> None:
    trials = trials_of(command(), tmp_path / "s")
    summary = summarize(trials)
    assert summary.factors == ("codec", "level")
    assert summary.metrics[0] == "ratio"
    assert "energy_per_work_unit_j" in summary.metrics
    assert not any(name.endswith("per_image_j") for name in summary.metrics)
    headers = text_table(summary, trials).headers
    assert "time per file (ms/file)" in headers
    assert summarize(trials, levels={"level": [1, 3, 9, 19], "codec": ["zlib", "lzma"]}).factors == ("level", "codec")


def test_one_row_is_enough(measured: pd.DataFrame) -> None:
    trials = measured.head(1)
    summary = summarize(trials)
    assert summary.factors == ()
    assert len(text_table(summary, trials).rows) == 1
    assert any("one repetition (n = 1): a mean but no interval" in line for line in advise(summary))


def test_columns_without_any_value_are_left_out_and_null_when_asked_for(measured: pd.DataFrame) -> None:
    assert "energy_estimated_per_image_j" not in summarize(measured).metrics
    asked = summarize(measured, metrics=["energy_net_j"])
    assert all(each.metrics["energy_net_j"].n == 0 for each in asked.treatments)


def test_values_that_are_missing_are_said(measured: pd.DataFrame) -> None:
    trials = measured.copy()
    trials.loc[0, "energy_per_image_j"] = np.nan
    assert "energy_per_image_j: 1 of 36 rows have no value; the flags say why." in advise(summarize(trials))


def test_replicates_and_sweeps_are_kept_apart(measured: pd.DataFrame) -> None:
    again = measured.assign(replicate="again", trial_id=measured["trial_id"] + "x")
    both = pd.concat([measured, again])
    summary = summarize(both)
    assert len(summary.treatments) == 24
    assert text_table(summary, both).headers[0] == "replicate"


def test_thousands_of_rows(measured: pd.DataFrame) -> None:
    parts = [measured.assign(trial_id=measured["trial_id"] + str(copy)) for copy in range(100)]
    assert {each.n for each in summarize(pd.concat(parts)).treatments} == {300}


def test_what_is_no_metric_is_refused_with_the_nearest_one(measured: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="Did you mean 'energy_per_image_j'"):
        summarize(measured, metrics=["energy_per_imag_j"])
    with pytest.raises(UsageError, match="not a numeric column"):
        summarize(measured, metrics=["weights"])
    with pytest.raises(UsageError, match="between 0 and 1"):
        summarize(measured, confidence=95)


def test_what_are_no_rows_is_refused(measured: pd.DataFrame) -> None:
    with pytest.raises(ResultsError, match=r"sipa\.load"):
        summarize(pd.DataFrame({"a": [1]}))
    with pytest.raises(ResultsError, match="no rows"):
        summarize(measured.head(0))
    with pytest.raises(ResultsError, match="36 rows occur twice"):
        summarize(pd.concat([measured, measured]))


def test_advice_names_the_repetitions_that_would_do(measured: pd.DataFrame) -> None:
    (line,) = (each for each in advise(summarize(measured, metrics=["energy_per_image_j"])) if "remarks" not in each)
    assert "the widest interval is ±" in line
    assert "would give ±2 %" in line
    steady = measured.assign(energy_per_image_j=measured["batch_size"] * 1.0)
    assert advise(summarize(steady, metrics=["energy_per_image_j"])) == ()


def test_records_are_json_and_the_frame_has_units_in_its_names(measured: pd.DataFrame) -> None:
    summary: SweepSummary = summarize(measured)
    flat = frame(summary)
    assert json.loads(json.dumps(records(summary), allow_nan=False))[0]["parameters"]["batch_size"] == 1
    assert {"weights", "n", "mean_time_per_image_s", "ci_low_time_per_image_s"} <= set(flat.columns)
    assert len(flat) == 12


def test_cells_have_the_digits_that_the_interval_supports(measured: pd.DataFrame) -> None:
    table = text_table(summarize(measured), measured)
    place = table.headers.index("time per image (ms/image)")
    for row in table.rows:
        mean, _, reach = row[place].partition(" ±")
        assert math.isfinite(float(mean))
        assert len(reach.replace(".", "").lstrip("0")) <= 3
    assert all(len(row) == len(table.headers) == len(table.numeric) for row in table.rows)


def test_what_the_workload_decided_by_another_factor_is_no_factor(measured: pd.DataFrame) -> None:
    """Weights bring the image size that they were trained at; asked for in the file, it is a factor."""
    sizes = {name: 32 * (1 + place // 2) for place, name in enumerate(sorted(measured["weights"].unique()))}
    trials = measured.assign(image_size=measured["weights"].map(sizes))
    assert "image_size" not in summarize(trials).factors
    assert "image_size" in summarize(trials, levels={"weights": [], "image_size": []}).factors
    crossed = measured.assign(image_size=[32 * (1 + place % 2) for place in range(len(measured))])
    assert "image_size" in summarize(crossed).factors
