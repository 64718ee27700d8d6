"""Scores that mean what they say, and "unknown" where they say too little: a temperature and
thresholds for a bundle, found on images with known classes. It needs no training code.

from ppcls.calibration import calibrate_bundle

print(calibrate_bundle("bundles/net", "held_back.txt").summary())
"""

from __future__ import annotations

from ppcls.calibration.bundle import CalibrationOptions, calibrate_bundle

__all__ = ["CalibrationOptions", "calibrate_bundle"]
