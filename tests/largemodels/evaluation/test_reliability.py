"""The reliability diagram shows what its table says."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from largemodels.evaluation.reliability import reliability_figure
from largemodels.figures import style
from largemodels.statistics.calibration import reliability_table


def test_a_figure_shows_every_bin_with_its_interval():
    table = reliability_table([[0.91, 0.09], [0.95, 0.05], [0.99, 0.01], [0.52, 0.48]], [0, 0, 1, 1], bins=10)
    with mpl.rc_context():
        style.use_style()
        _, (ax,) = style.panels(1)
        reliability_figure({"raw": table, "scaled": table}, ax=ax, title="before and after")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["calibrated", "raw", "scaled"]
    points, _, (bars,) = ax.containers[0]
    assert points.get_xydata().tolist() == table[["confidence", "accuracy"]].to_numpy().tolist()
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert np.array(ends) == pytest.approx(table[["accuracy_low", "accuracy_high"]].to_numpy())
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == (
        "confidence",
        "accuracy",
        "before and after",
    )
    mpl.pyplot.close("all")
