"""What the fast I3D is made of, each against a closed form or plain PyTorch, and the choice of a precision."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import stored_i3d
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from extract.i3d import I3D, Unit3D, same_padding
from extract.i3d_engine import PRECISIONS, Engine, choose_precision
from extract.i3d_fold import folded, in_pairs
from extract.i3d_layers import Pool
from extract.i3d_onednn import BitPool
from tal.errors import BackendError, ConfigError

_inference = stored_i3d.inference  # a fixture that every test uses


class TestParts:
    def test_folding_scales_the_filter_and_moves_the_bias(self) -> None:
        """Variance 0.249 and eps 0.001: 3 (4 x - 5) / 0.5 + 7 = 24 x - 23."""
        unit = Unit3D(1, 1).eval()
        for value, number in zip(
            (unit.conv3d.weight, unit.bn.running_mean, unit.bn.running_var, unit.bn.weight, unit.bn.bias),
            (4.0, 5.0, 0.249, 3.0, 7.0),
            strict=True,
        ):
            assert value is not None
            value.fill_(number)
        weight, bias = folded(unit)
        assert weight.dtype == bias.dtype == torch.float64
        assert (float(weight), float(bias)) == pytest.approx((24.0, -23.0), rel=1e-6)

    @given(width=st.integers(1, 6), channels=st.integers(1, 3), kernel=st.sampled_from([1, 3, 7]))
    @settings(deadline=None, max_examples=15)
    def test_pairs_of_pixels_make_stride_2_into_1(self, width: int, channels: int, kernel: int) -> None:
        generator = torch.Generator().manual_seed(width)
        even = kernel + 2 * width - 1
        x = torch.randn(1, channels, 1, 1, even, generator=generator, dtype=torch.float64)
        weight = torch.randn(4, channels, 1, 1, kernel, generator=generator, dtype=torch.float64)
        pairs = x.reshape(channels, even // 2, 2).permute(2, 0, 1).reshape(1, 2 * channels, 1, 1, -1)
        expected = functional.conv3d(x, weight, stride=2)
        torch.testing.assert_close(functional.conv3d(pairs, in_pairs(weight)), expected)

    @pytest.mark.parametrize("pool", [Pool, BitPool])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @given(
        sides=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
        window=st.sampled_from(
            [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))]
        ),
    )
    @settings(deadline=None, max_examples=40)
    def test_pools_equal_padding_with_zeros(
        self, pool: type[Any], dtype: torch.dtype, sides: tuple[int, int, int], window: tuple[Any, Any]
    ) -> None:
        x = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(sum(sides))).relu().to(dtype)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        (ft, bt), (fh, bh), (fw, bw) = same_padding(sides, *window)
        expected = functional.max_pool3d(functional.pad(x, (fw, bw, fh, bh, ft, bt)), *window)
        torch.testing.assert_close(pool(*window)(x), expected, rtol=0, atol=0)


class TestPrecision:
    def test_auto_is_bf16_where_the_cpu_multiplies_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for amx, avx in ((False, False), (False, True), (True, False)):
            monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
            monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
            assert choose_precision("auto", "cpu") == ("bf16" if amx or avx else "fp32")

    @pytest.mark.parametrize(
        ("capability", "auto", "others"), [((7, 5), "fp32", "fp32 fp16"), ((9, 0), "bf16", "fp32 bf16 fp16")]
    )
    def test_gpus_from_ampere_on_get_bf16(
        self, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], auto: str, others: str
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        assert choose_precision("auto", "cuda:0") == auto
        assert [choose_precision(name, "cuda:0") for name in others.split()] == others.split()

    def test_an_unknown_one_is_told_with_the_nearest(self) -> None:
        with pytest.raises(ConfigError) as caught:
            choose_precision("bf61", "cpu")
        assert str(caught.value) == "unknown precision 'bf61'; did you mean 'bf16'?"
        assert PRECISIONS == ("auto", "fp32", "bf16", "fp16")

    def test_what_the_device_lacks_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        with pytest.raises(BackendError) as caught:
            choose_precision("bf16", "cpu")
        assert str(caught.value) == "precision bf16 is not fast on device 'cpu'; use fp32, or auto"

    def test_half_precision_is_for_gpus(self) -> None:
        with pytest.raises(BackendError, match="precision fp16 is not fast on device 'cpu'"):
            Engine(I3D(2), "cpu", "fp16")

    def test_the_engine_tells_what_it_chose(self) -> None:
        assert Engine(I3D(2), "cpu", "auto").precision == choose_precision("auto", "cpu")

    def test_its_module_does_not_import_torch(self) -> None:
        code = "import sys, extract.i3d_engine; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
