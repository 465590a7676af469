"""The public Python API: one function per stage, and `run`, which chains them.

Each function takes paths and `Settings`, uses what is already there, and returns what it made. None of them imports
PyTorch or OpenCV unless something really has to be computed.
"""

from tal.pipeline.ablation_reports import AblationReport
from tal.pipeline.ablations import ablate
from tal.pipeline.annotation_importing import import_annotations, write_truth
from tal.pipeline.chain import RunReport, run
from tal.pipeline.comparing import Resampling, compare
from tal.pipeline.comparison_groups import Group, find_groups
from tal.pipeline.comparison_reports import Comparison
from tal.pipeline.data_checking import DataReport, check_data
from tal.pipeline.diagnosing import diagnose
from tal.pipeline.evaluating import evaluate
from tal.pipeline.exporting import DetectionExport, export_detections
from tal.pipeline.extraction import ExtractReport, extract
from tal.pipeline.feature_files import ExportReport, ImportOptions, ImportReport, export_features, import_features
from tal.pipeline.importing import Imported, import_model
from tal.pipeline.learning import Run, train
from tal.pipeline.localizing import LocalizeBatchError, localize, model_settings
from tal.pipeline.parts import Part
from tal.pipeline.planning import Plan, plan_extraction
from tal.pipeline.probing import Probed, probe
from tal.pipeline.reporting import Report, ReportOptions, report, report_localized
from tal.pipeline.reproducing import reproduce
from tal.pipeline.reproduction_reports import Reproduction
from tal.pipeline.sweeps import SweepReport, train_all

__all__ = [
    "AblationReport",
    "Comparison",
    "DataReport",
    "DetectionExport",
    "ExportReport",
    "ExtractReport",
    "Group",
    "ImportOptions",
    "ImportReport",
    "Imported",
    "LocalizeBatchError",
    "Part",
    "Plan",
    "Probed",
    "Report",
    "ReportOptions",
    "Reproduction",
    "Resampling",
    "Run",
    "RunReport",
    "SweepReport",
    "ablate",
    "check_data",
    "compare",
    "diagnose",
    "evaluate",
    "export_detections",
    "export_features",
    "extract",
    "find_groups",
    "import_annotations",
    "import_features",
    "import_model",
    "localize",
    "model_settings",
    "plan_extraction",
    "probe",
    "report",
    "report_localized",
    "reproduce",
    "run",
    "train",
    "train_all",
    "write_truth",
]
