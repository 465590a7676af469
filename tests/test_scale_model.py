"""The cost model of `benchmarks/_scale_costs.py`: rates from result files, hand-computed demands, limits, prices."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tal.errors import ConfigError
from tal.files import shipped

sys.path.append(str(shipped("benchmarks")))

import _scale_costs as costs
import _scale_fleets as fleets
import _scale_local as local
import _scale_rates as rates_of
from _scale_costs import Choice, Fleet
from _scale_rates import Assumptions, Rates

ROUND = Rates(
    decode_s=0.001,
    decode_px_s=1e-9,
    flow_px_s={"exact": 4e-6, "default": 1e-6, "fast": 0.25e-6},
    network_s={("rgb", "fp32"): 0.5, ("flow", "fp32"): 0.4, ("rgb", "bf16"): 0.25, ("flow", "bf16"): 0.2},
    network_gflop={"rgb": 60.0, "flow": 40.0},
    passes={"fp32": (1.0, 2)},
    memory_gib=1.0,
    ledger_s=None,
)
SQUARE = Assumptions(width=1000, height=1000, fps=50, mbit_s=8, minutes=6)
"""Frames of a million px, scaled to 65,536; a Mbyte a second; ten videos an hour."""


def results(folder: Path, **changed: dict[str, float] | None) -> Path:
    """Write result files like those of the benchmarks; None leaves a benchmark out."""
    told: dict[str, dict[tuple[str, str], float] | None] = {
        "decode": {("320x240, short side 256, against x", "frames/s"): 1000.0,
                   ("1280x720, short side 256, against x", "frames/s"): 250.0},
        "flow": {(f"{q} (peer: x)", "pairs/s/core"): v for q, v in (("exact", 1.0), ("default", 10.0), ("fast", 50.0))},
        "extract": {("rgb, fp32, 1 core (p", "snippets/s"): 2.0, ("rgb, bf16, 1 core (p", "snippets/s"): 4.0,
                    ("flow, fp32, 1 core (p", "snippets/s"): 2.5, ("flow, bf16, 1 core (p", "snippets/s"): 5.0,
                    ("rgb, bf16, 1 core, 55.6 GFLOP (p", "GFLOP/s"): 1.0,
                    ("flow, bf16, 1 core, 51.2 GFLOP (p", "GFLOP/s"): 1.0,
                    ("whole pass, fp32, 4 cores (p", "x real time"): 0.5,
                    ("whole pass, bf16, 4 cores (p", "x real time"): 0.75},
        "memory": {("peak memory, 1 s of video against 2 s", "MiB"): 512.0},
    }  # fmt: skip
    for name, rows in {**told, **changed}.items():
        if rows is not None:
            made = [{"name": key[0], "unit": key[1], "ours": value} for key, value in rows.items()]
            text = json.dumps({"machine": "made up, 4 cores, Linux", "rows": made})
            (folder / f"{name}-made-up.json").write_text(text)
    return folder


def test_rates_are_read_from_the_result_files(tmp_path: Path) -> None:
    found = rates_of.measured(results(tmp_path))
    for size, core_s in ((320 * 240, 4 / 1000), (1280 * 720, 4 / 250)):
        assert found.decode_s + found.decode_px_s * size == pytest.approx(core_s)
    assert found.flow_px_s["default"] * 340 * 256 == pytest.approx(0.1)
    assert found.network_s["flow", "bf16"] == 0.2
    assert found.network_gflop == {"rgb": 55.6, "flow": 51.2}
    assert found.passes == {"fp32": (0.5, 4), "bf16": (0.75, 4)}
    assert (found.memory_gib, found.ledger_s) == (0.5, None)


def test_the_ledger_counts_once_it_is_measured(tmp_path: Path) -> None:
    measured: Any = {("50000 videos: overhead each", "ms"): 2.5}
    assert rates_of.measured(results(tmp_path, faults=measured)).ledger_s == pytest.approx(0.0025)


def test_missing_results_say_which_benchmark_makes_them(tmp_path: Path) -> None:
    results(tmp_path, flow=None)
    with pytest.raises(ConfigError, match=r"no results of 'flow'; run 'tal bench flow --json'$"):
        rates_of.measured(tmp_path)
    results(tmp_path, flow={})
    with pytest.raises(ConfigError, match=r"no row 'exact \(\.\.\.' in pairs/s/core; run that benchmark again$"):
        rates_of.measured(tmp_path)


def test_the_environment_replaces_assumptions() -> None:
    found = Assumptions.of({"TAL_SCALE_GPU_HOUR": "1.5", "TAL_SCALE_SPREAD": "0", "OTHER": "x"})
    assert found == replace(Assumptions(), gpu_hour=1.5, spread=0.0)


@pytest.mark.parametrize(
    ("name", "text", "least"),
    [("MINUTES", "0", "above"), ("MINUTES", "ten", "above"), ("GPU_HOUR", "-1", "from"), ("FPS", "inf", "above")],
)
def test_an_assumption_that_is_no_number_is_named(name: str, text: str, least: str) -> None:
    said = f"TAL_SCALE_{name}={text}: not a number {least} 0; set it to one, or unset it"
    with pytest.raises(ConfigError, match=f"^{said}$"):
        Assumptions.of({f"TAL_SCALE_{name}": text})


def test_an_hour_on_a_cpu_by_hand() -> None:
    found = costs.demand(Choice("default"), ROUND, SQUARE)
    assert found.core_s == {
        "decoding (CPU)": pytest.approx(180_000 * (0.001 + 1e-9 * 1e6)),
        "flow (CPU)": pytest.approx(90_000 * 65_536 * 1e-6),
        "I3D (CPU)": pytest.approx(90_000 / 16 * 0.9),
    }
    assert found.gpu_s == {}
    assert found.in_gb == pytest.approx(3.6)
    assert found.shard_gb == pytest.approx((5625 * 8196 + 10 * costs.HEADER_BYTES) / 1e9)
    assert found.n_videos == 10


def test_an_hour_on_a_gpu_by_hand() -> None:
    given = replace(SQUARE, gpu_pairs_s=500, gpu_tflops_fp32=50, host_ms=2)
    choice = Choice("fast", ("flow.quality=fast",), gpu=True)
    found = costs.demand(choice, ROUND, given)
    assert found.gpu_s == {
        "flow (GPU)": pytest.approx(90_000 * 65_536 / (340 * 256) / 500 * 0.25),
        "I3D (GPU)": pytest.approx(5625 * 100 / 50_000),
    }
    assert found.core_s["beside the GPU (CPU)"] == pytest.approx(180)
    decoded_there = costs.demand(choice, ROUND, replace(given, gpu_frames_s=1000))
    assert set(decoded_there.core_s) == {"beside the GPU (CPU)"}


def test_longer_snippets_cost_more_and_fewer_of_them_less() -> None:
    default, deepmind, ten = (
        costs.demand(one, ROUND, SQUARE).core_s["I3D (CPU)"]
        for one in (Choice("default"), Choice("deepmind", preset="deepmind"), Choice("ten", ("crops=ten",)))
    )
    assert deepmind == pytest.approx(default)
    assert ten == pytest.approx(10 * default)
    cmcs = costs.demand(Choice("cmcs", preset="cmcs"), ROUND, SQUARE)
    assert cmcs.core_s["I3D (CPU)"] == pytest.approx(default * 4 * 30 / 25)
    assert cmcs.core_s["flow (CPU)"] == pytest.approx(30 * 3600 * 340 * 256 * 1e-6)


def test_without_flow_there_is_none_of_its_work() -> None:
    found = costs.demand(Choice("rgb", ("streams=[rgb]",)), ROUND, SQUARE)
    assert found.core_s["flow (CPU)"] == 0
    assert found.flow_gb == 0
    assert found.shard_gb == pytest.approx((5625 * 4096 + 10 * costs.HEADER_BYTES) / 1e9)


MANY = st.integers(1, 10_000)


@given(MANY, MANY, st.sampled_from(costs.CHOICES), st.booleans())
def test_twice_the_machines_give_twice_the_speed_until_the_store_ends_it(
    n_gpus: int, n_cores: int, choice: Choice, gpu: bool
) -> None:
    need = costs.demand(replace(choice, gpu=gpu), ROUND, SQUARE)
    one = costs.limits(need, Fleet(n_gpus * n_cores, n_gpus, n_gpus, n_gpus), ROUND, SQUARE)
    two = costs.limits(need, Fleet(2 * n_gpus * n_cores, 2 * n_gpus, 2 * n_gpus, 2 * n_gpus), ROUND, SQUARE)
    assert set(one) == set(two)
    for name, found in one.items():
        assert two[name] == pytest.approx(found if name == "object store" else 2 * found)
    assert costs.bottleneck(two)[1] >= costs.bottleneck(one)[1]


def test_the_bottleneck_moves_from_cores_to_gpus_to_the_store() -> None:
    need = costs.demand(Choice("fast", ("flow.quality=fast", "precision=bf16"), gpu=True), ROUND, SQUARE)
    found = [
        costs.bottleneck(costs.limits(need, costs.gpu_fleet(n_gpus, n_cores, SQUARE), ROUND, SQUARE))[0]
        for n_gpus, n_cores in ((8, 1), (8, 64), (100_000, 64))
    ]
    assert found == ["decoding (CPU)", "flow (GPU)", "object store"]


def test_costs_follow_prices() -> None:
    need = costs.demand(Choice("default", gpu=True), ROUND, SQUARE)
    free = replace(SQUARE, core_hour=0, gpu_hour=0, gb_month=0, gb_out=0, puts_1000=0)
    assert set(costs.costs(need, 1e6, free).values()) == {0.0}
    paid = costs.costs(need, 1000, replace(free, gb_out=0.5, puts_1000=2.0))
    assert {name: value for name, value in paid.items() if value} == {
        "reading the videos from elsewhere": pytest.approx(1800),
        "writing objects": pytest.approx(20),
    }


def test_the_model_meets_the_whole_passes_that_were_measured() -> None:
    for speed, modelled in costs.pass_check(rates_of.measured()).values():
        assert modelled == pytest.approx(speed, rel=0.2)


def test_lengths_have_the_mean_that_is_assumed() -> None:
    drawn = fleets.lengths_h(200_000, Assumptions(minutes=12, spread=1.0), seed=0)
    assert drawn.mean() == pytest.approx(0.2, rel=0.02)
    assert np.median(drawn) == pytest.approx(0.2 * np.exp(-0.5), rel=0.02)


def test_pieces_add_up_to_their_video() -> None:
    pieces = fleets.cut(0.33, [10.0, 20.0, 0.0, 5.0, 0.0])
    assert len(pieces) == 7
    assert np.sum(pieces, axis=0) == pytest.approx([3.3, 6.6, 0.0, 1.65, fleets.WRITE_S])


def test_simulations_repeat_and_fall_short_of_the_least_limit() -> None:
    given = Assumptions(minutes=6)
    need = costs.demand(replace(costs.TWO_STREAM, gpu=True), ROUND, given)
    _, bound = costs.bottleneck(costs.limits(need, costs.gpu_fleet(4, 8, given), ROUND, given))
    per_hour_s, lengths = fleets.stage_seconds(need, 8, given), fleets.lengths_h(200, given, seed=5)
    found = {}
    for scene in fleets.SCENES:
        found[scene.name] = fleets.speed(scene, lengths, per_hour_s, 4, seed=1)
        assert fleets.speed(scene, lengths, per_hour_s, 4, seed=1) == found[scene.name]
        assert found[scene.name][0] <= bound
        assert (found[scene.name][1] > 0) <= scene.lost
    assert fleets.speed(fleets.SCENES[3], lengths, per_hour_s, 4, seed=2) != found[fleets.SCENES[3].name]
    assert found["one folder"][0] >= found["a part each"][0]


def test_what_is_fitted_on_a_run_predicts_that_run() -> None:
    stage_s = {"decode": 2.0, "flow": 6.0, "rgb network": 4.0, "flow network": 4.0, "write": 2.0}
    run = local.Run(seconds=25.0, snippets=20, stage_s=stage_s)
    fit = local.Fit.of(run, [10, 4, 6])
    assert fit.per_snippet_s == [0.1, 0.3, 0.5]
    assert fit.predicted([[10, 4, 6]], together=False) == pytest.approx(25.0)
    assert fit.start_s == pytest.approx(25 - (4 * 0.1 + 20 * 0.8))  # decoding is ahead but for the first batch


def test_two_processes_take_half_the_work_but_a_start_each() -> None:
    fit = local.Fit([0.0, 0.5, 1.5], start_s=3.0)
    assert fit.predicted([[4] * 6], together=False) == pytest.approx(3 + 48)
    assert fit.predicted([[4] * 3, [4] * 3], together=False) == pytest.approx(3 + 24)
    assert fit.predicted([[4] * 6], together=True, n=2) == pytest.approx(3 + 24)
    assert fit.predicted([[4] * 3, [4] * 3], together=False, n_cores=1) == pytest.approx(3 + 48)


def test_every_assumption_is_explained() -> None:
    told = Assumptions.__doc__ or ""
    assert [one.name for one in fields(Assumptions) if f"{one.name}: " not in told] == []
