"""Reports: a run as one HTML file that needs only a browser."""

from weightsearch.report._contents import ReportContents, WeightGroup, report_contents
from weightsearch.report._page import SIZE_LIMIT, write_report

__all__ = [
    "SIZE_LIMIT",
    "ReportContents",
    "WeightGroup",
    "report_contents",
    "write_report",
]
