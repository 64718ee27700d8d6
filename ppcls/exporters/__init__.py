"""From a trained network to a bundle that predicts the same without the training code."""

from __future__ import annotations

from ppcls.exporters.bundle import ExportReport, Processing, export_bundle
from ppcls.exporters.form import ExportOptions
from ppcls.exporters.parity import Parity

__all__ = ["ExportOptions", "ExportReport", "Parity", "Processing", "export_bundle"]
