"""A run as one HTML file that needs nothing but a browser.

What goes in are a data frame, plain dicts and functions that read arrays
(:class:`ReportContents`); where they come from does not matter here.
"""

from weightsearch.report._contents import ReportContents, WeightGroup
from weightsearch.report._page import SIZE_LIMIT, write_report

__all__ = ["SIZE_LIMIT", "ReportContents", "WeightGroup", "write_report"]
