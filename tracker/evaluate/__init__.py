"""How good the tracking is: result files scored against ground truth files."""

from tracker.evaluate.command import main
from tracker.evaluate.files import find_ground_truth, find_results
from tracker.evaluate.report import Report, evaluate_results
from tracker.evaluate.tables import scores_table

__all__ = ["Report", "evaluate_results", "find_ground_truth", "find_results", "main", "scores_table"]
