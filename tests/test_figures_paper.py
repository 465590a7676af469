"""Figures for papers: what is drawn where, that text stays text, and that odd names do no harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from timelines_made_up import timeline

from tal.errors import ConfigError, StorageError
from tal.figures.paper import COLOURS, FAINTEST, Look, draw, write
from tal.figures.rows import Picture, Row, picture
from tal.timelines import Mark
from tal.types import Segment


def stacked() -> Picture:
    first = timeline([("x", 10, 20, 0.8), ("x", 30, 40, 0.4)], [("x", 12, 22)], networks=["rgb", "flow"])
    return picture([Row("STPN", first), Row("CMCS", timeline([("x", 11, 21, 0.9)]))])


def names(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def bars(axes: Axes) -> list[tuple[float, float, tuple[float, ...]]]:
    """Return start, end and colour of what fills a strip."""
    found = []
    for patch in axes.patches:
        box = patch.get_path().get_extents(patch.get_patch_transform())
        found.append((box.x0, box.x1, tuple(np.round(patch.get_facecolor()[:3], 3))))
    return found


def test_truth_stands_above_the_methods_each_with_its_cas() -> None:
    figure = draw(stacked())
    assert names(figure) == ["x", "Truth", "STPN", "rgb —, flow --", "CMCS"]
    _, truth, first, curve, second = figure.axes
    assert bars(truth) == [(12, 22, (0.2, 0.2, 0.2))]
    assert bars(second) == [(11, 21, (0.835, 0.369, 0.0))]
    assert [len(line.get_xdata()) for line in curve.lines] == [100, 100]
    assert curve.lines[0].get_ydata().max() == 1
    assert [line.get_linestyle() for line in curve.lines] == ["-", "--"]
    weak, strong = bars(first)  # the better one is drawn later, on top
    assert (weak[:2], strong[:2]) == ((30, 40), (10, 20))
    assert strong[2] == pytest.approx(to_rgb(COLOURS[0]), abs=2e-3)
    share = FAINTEST + (1 - FAINTEST) * 0.5
    assert weak[2] == pytest.approx([1 - share * (1 - part) for part in to_rgb(COLOURS[0])], abs=2e-3)


def test_all_strips_share_one_time_axis() -> None:
    figure = draw(stacked())
    assert {axes.get_xlim() for axes in figure.axes} == {(0, 100)}
    lefts = {round(axes.get_position().x0, 9) for axes in figure.axes}
    assert len(lefts) == 1
    tops = [axes.get_position().y0 for axes in figure.axes]
    assert tops == sorted(tops, reverse=True)
    assert min(tops) > 0
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()][:2] == ["0:00", "0:10"]


@pytest.mark.parametrize("width_in", [2.0, 3.25, 6.875, 12.0])
def test_width_is_what_was_asked_for_and_nothing_is_cut_off(width_in: float) -> None:
    figure = draw(stacked(), Look(width_in, "a title"))
    assert figure.get_size_inches()[0] == width_in
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.x1 <= width_in + 0.01
    assert box.y0 >= -0.01
    assert box.y1 <= figure.get_size_inches()[1] + 0.01


def test_ambiguous_time_is_grey_in_the_truth() -> None:
    shown = timeline([], [("x", 0, 5)], marks=[Mark("ambiguous", Segment(50, 60)), Mark("shot", Segment(70, 70))])
    _, truth, _ = draw(picture([Row("", shown)])).axes
    assert [bar[:2] for bar in bars(truth)] == [(50, 60), (0, 5)]


def test_a_video_without_anything_is_drawn() -> None:
    assert names(draw(picture([Row("", timeline())]))) == ["no detections", "Prediction"]


ODD = "</text><script>alert(1)</script> $x_$ \x1b[31m & \u202e\n"


def test_files_of_all_kinds_with_odd_names(tmp_path: Path) -> None:
    shown = picture([Row(ODD, timeline([(ODD, 10, 20, 0.8)], networks=[ODD]))])
    before = dict(rcParams)
    for kind in ("png", "svg", "pdf"):
        write(shown, tmp_path / f"f.{kind}", Look(3.25, ODD))
    assert dict(rcParams) == before
    assert imread(tmp_path / "f.png").shape[1] == round(3.25 * 300)
    tree = ElementTree.parse(tmp_path / "f.svg")
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "<script>" not in (tmp_path / "f.svg").read_text()
    assert (
        "</text><script>alert(1)</script> $x_$ \N{REPLACEMENT CHARACTER}[31m & " + 2 * "\N{REPLACEMENT CHARACTER}"
        in texts
    )
    assert "0:00" in texts
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")


def test_equal_pictures_give_equal_files(tmp_path: Path) -> None:
    for kind in ("png", "svg", "pdf"):
        one, other = (write(stacked(), tmp_path / f"{i}.{kind}").read_bytes() for i in range(2))
        assert one == other


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write(stacked(), tmp_path / "f.jpg")
    assert str(caught.value) == (
        f"{tmp_path}/f.jpg: not a kind of figure that is drawn; end the name with .png, .svg or .pdf"
    )
    with pytest.raises(ConfigError, match=r"a figure 0.2 inches wide; choose 1.5 to 50, e.g. 3.25 for a column"):
        Look(0.2)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write(stacked(), tmp_path / "file" / "f.png")


def test_importing_the_figures_loads_no_matplotlib() -> None:
    code = "import sys, tal.figures.paper, tal.figures.terminal; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
