"""Statistics: intervals, comparisons, calibration."""
