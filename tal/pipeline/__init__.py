"""The public Python API: one function per stage, and `run`, which chains them.

Each function takes paths and `Settings`, uses what is already there, and returns what it made. None of them imports
PyTorch or OpenCV unless something really has to be computed.
"""

from tal.pipeline.ablation_reports import AblationReport
from tal.pipeline.ablations import ablate
from tal.pipeline.chain import RunReport, run
from tal.pipeline.evaluating import evaluate
from tal.pipeline.extraction import ExtractReport, extract
from tal.pipeline.importing import Imported, import_model
from tal.pipeline.learning import Run, train
from tal.pipeline.localizing import LocalizeBatchError, localize, model_settings
from tal.pipeline.parts import Part
from tal.pipeline.planning import Plan, plan_extraction
from tal.pipeline.probing import Probed, probe

__all__ = [
    "AblationReport",
    "ExtractReport",
    "Imported",
    "LocalizeBatchError",
    "Part",
    "Plan",
    "Probed",
    "Run",
    "RunReport",
    "ablate",
    "evaluate",
    "extract",
    "import_model",
    "localize",
    "model_settings",
    "plan_extraction",
    "probe",
    "run",
    "train",
]
