from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sipa
from sipa.analysis.charts import WITHHELD_ESTIMATE, WITHHELD_NO_ENERGY
from sipa.analysis.clouds import reach
from sipa.analysis.drawing import MODEL_NOTE, WATERMARK
from sipa.analysis.figures import Drawn, figures
from sipa.analysis.intervals import mean_interval
from sipa.analysis.svg import inline_svg
from tests.sipa.analysis.rows import LADDER, Sweep, command, detection


def drawn(sweep: Sweep, folder: Path, **options: Any) -> tuple[dict[str, Drawn], list[str]]:
    found, withheld = figures(sipa.load(sweep.write(folder)), **options)
    return {each.chart.key: each for each in found}, [each.reason for each in withheld]


def texts(figure: Any) -> set[str]:
    (axes,) = figure.axes
    return {axes.get_xlabel(), axes.get_ylabel(), axes.get_title(), *(text.get_text() for text in axes.texts)}


def repetitions(one: Drawn) -> int:
    (axes,) = one.figure.axes
    return sum(len(line.get_xdata()) for line in axes.lines if line.get_zorder() == 4)


def test_a_measured_sweep_has_all_figures(tmp_path: Path) -> None:
    found, withheld = drawn(detection(), tmp_path / "s")
    assert list(found) == [
        "energy_per_image_j-map_50_95",
        "energy_per_image_j-time_per_image_s",
        "energy_per_image_j-batch_size",
        "time_per_image_s-batch_size",
        "map_50_95-time_per_image_s",
    ]
    assert withheld == []
    assert not any(WATERMARK in texts(each.figure) for each in found.values())


def test_every_repetition_is_a_point(tmp_path: Path) -> None:
    found, _ = drawn(detection(repetitions=4), tmp_path / "s")
    assert {repetitions(each) for each in found.values()} == {48}
    assert all("48 trials, n = 4 a treatment" in each.caption for each in found.values())
    assert all("95% confidence interval" in each.caption for each in found.values())


def test_an_estimate_is_marked_in_the_figure_and_not_drawn_against_latency(tmp_path: Path) -> None:
    found, withheld = drawn(detection(source="model"), tmp_path / "s")
    energies = {key: each for key, each in found.items() if each.chart.estimated}
    assert set(energies) == {"energy_estimated_per_image_j-map_50_95", "energy_estimated_per_image_j-batch_size"}
    for each in energies.values():
        assert {WATERMARK, MODEL_NOTE} <= texts(each.figure)
        assert each.figure.axes[0].get_ylabel().startswith("estimated energy (model meter)")
        assert "estimate of the model meter" in each.caption
    assert withheld == [WITHHELD_ESTIMATE]


def test_without_energy_the_rest_is_drawn_with_the_reason(tmp_path: Path) -> None:
    found, withheld = drawn(detection(source="none"), tmp_path / "s")
    assert set(found) == {"time_per_image_s-batch_size", "map_50_95-time_per_image_s"}
    assert withheld == [WITHHELD_NO_ENERGY]


def test_a_command_sweep_has_its_factor_on_the_axis_and_its_metric_as_accuracy(tmp_path: Path) -> None:
    found, _ = drawn(command(), tmp_path / "s", levels={"level": [1, 3, 9, 19], "codec": ["zlib", "lzma"]})
    assert "energy_per_work_unit_j-level" in found
    assert "ratio-time_per_work_unit_s" in found
    assert found["time_per_work_unit_s-level"].figure.axes[0].get_ylabel() == "time per file (ms/file)"


def test_levels_differ_by_colour_and_by_marker(tmp_path: Path) -> None:
    from matplotlib.colors import to_hex

    found, _ = drawn(detection(), tmp_path / "s")
    (legend,) = found["time_per_image_s-batch_size"].figure.legends
    looks = [(to_hex(line.get_color()), line.get_marker()) for line in legend.get_lines()]
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == len(LADDER)


def test_axes_are_logarithmic_where_the_range_asks_for_it(tmp_path: Path) -> None:
    found, _ = drawn(detection(), tmp_path / "s")
    axes = found["energy_per_image_j-batch_size"].figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "4", "16"]
    alike, _ = drawn(detection(weights={"a": (0.5, 0.01)}, batches=(2, 4)), tmp_path / "t")
    axes = alike["energy_per_image_j-batch_size"].figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")


def test_names_alone_stand_on_the_axis(tmp_path: Path) -> None:
    found, _ = drawn(detection(batches=(4,)), tmp_path / "s")
    assert found["energy_per_image_j-weights"].chart.x.text
    assert found["energy_per_image_j-map_50_95"].chart.series == "weights"


@pytest.mark.parametrize("name", [r"$\frac{1}{", "<script>alert(1)</script>", "日本語-\x07-" + "x" * 200, "--> &amp;"])
def test_untrusted_names_are_drawn_as_text(tmp_path: Path, name: str) -> None:
    found, _ = drawn(detection(weights={name: (0.5, 0.01), "b": (0.6, 0.02)}), tmp_path / "s")
    for each in found.values():
        svg = inline_svg(each.figure, "key")
        assert "<script" not in svg
        assert svg.startswith("<svg")


def test_inline_figures_share_no_ids_and_follow_the_page(tmp_path: Path) -> None:
    found, _ = drawn(detection(), tmp_path / "s")
    one = inline_svg(found["energy_per_image_j-batch_size"].figure, "figure-1")
    assert 'id="figure-1-' in one
    assert 'href="#figure-1-' in one
    assert "currentColor" in one
    assert "var(--series-0)" in one
    assert "#23272f" not in one
    assert "<?xml" not in one
    assert "<metadata" not in one


def test_thousands_of_points_become_a_picture_inside_the_figure(tmp_path: Path) -> None:
    trials = sipa.load(detection(repetitions=3, batches=(1, 4)).write(tmp_path / "s"))
    many = pd.concat([trials.assign(trial_id=trials["trial_id"] + str(copy)) for copy in range(100)])
    found, _ = figures(many)
    svg = inline_svg(found[0].figure, "key")
    assert "data:image/png;base64" in svg
    assert len(svg) < 1_000_000


def test_wide_intervals_do_not_press_the_points_into_a_corner() -> None:
    points = [1.0, 1.1, 2.0, 2.1]
    wide = mean_interval([1.0, 1.1])
    low, high, cut = reach(points, [wide, mean_interval([0.0, 30.0])], log=False, zero=False)
    assert low > 0
    assert high < 3
    assert cut == 2


def test_bars_that_run_past_the_frame_are_said(tmp_path: Path) -> None:
    sweep = detection(repetitions=2, weights={"a": (0.5, 0.01), "b": (0.6, 0.011)})
    sweep.rows[0]["energy_per_image_j"] *= 1.5
    found, _ = drawn(sweep, tmp_path / "s")
    assert "run past the frame" in found["energy_per_image_j-batch_size"].caption


def test_rows_that_are_not_valid_are_crosses(tmp_path: Path) -> None:
    sweep = detection()
    sweep.rows[0]["valid"] = False
    found, _ = drawn(sweep, tmp_path / "s")
    one = found["energy_per_image_j-batch_size"]
    crosses = [line for line in one.figure.axes[0].lines if line.get_marker() == "x" and line.get_zorder() == 4]
    assert len(crosses) == 1
    assert "Crosses: 1 rows that are not valid" in one.caption


def test_factors_that_the_figure_cannot_show_are_said(tmp_path: Path) -> None:
    sweep = detection()
    for row in sweep.rows:
        row["image_size"] = 320 if row["repetition"] == 1 else 640
        row["treatment_id"] += str(row["image_size"])
    found, _ = drawn(sweep, tmp_path / "s")
    assert "Not told apart here: image_size." in found["energy_per_image_j-batch_size"].caption
