"""The metrics of runs as TensorBoard scalars, for those who have TensorBoard: ``pip install tal[tensorboard]``.

Each run gets a folder of its name with one event file, tags ``<network>/<loss>`` over updates. A point's wall time is
the seconds since its network's training began, so that TensorBoard's relative time is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tal.errors import BackendError
from tal.files import storage_errors
from tal.pipeline.learning import Run

SUFFIX = ".tal"
"""End of the names of event files written here; others in the folder are left alone."""


def writer_class() -> Any:
    """Return TensorBoard's writer.

    Raises:
        BackendError: If TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BackendError("TensorBoard is not installed; pip install tal[tensorboard]") from error
    return SummaryWriter


def write_scalars(run: Run, folder: Path) -> Path:
    """Write a run's metrics to ``folder/<run>/``, in place of what was written there for it before; return the place.

    Raises:
        BackendError: If TensorBoard is not installed.
        StorageError: If the disk is full, read-only or gone.
    """
    writer, place = writer_class(), folder / run.path.name
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    with storage_errors(place):
        for path in place.glob(f"events.out.tfevents.*{SUFFIX}"):
            path.unlink()
        with writer(log_dir=str(place), filename_suffix=SUFFIX) as board:
            for line in lines:
                for name, value in line["losses"].items():
                    board.add_scalar(f"{line['network']}/{name}", value, line["step"], line["seconds"])
    return place
