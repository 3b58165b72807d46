"""Answers that stored models give without a fit, as functions of plain arrays."""
