"""The figures say what the numbers say, and their colours can be told apart."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from largemodels.figures import style


@pytest.fixture(autouse=True)
def own_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def linear(colour):
    rgb = np.array(mpl.colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def as_seen_without_green_cones(colour):
    """Deuteranopia after Viénot, Brettel and Mollon (1999), in linear RGB."""
    return np.array([[0.293, 0.707, 0.0], [0.293, 0.707, 0.0], [-0.022, 0.022, 1.0]]) @ linear(colour)


def test_any_two_of_the_first_four_colours_differ_for_readers_without_green_cones():
    for one, other in itertools.combinations(style.PALETTE[:4], 2):
        difference = as_seen_without_green_cones(one) - as_seen_without_green_cones(other)
        assert np.linalg.norm(difference) > 0.1, (one, other)


def test_colours_stand_out_from_white_and_never_stand_alone():
    for colour in style.PALETTE:
        luminance = np.dot(linear(colour), [0.2126, 0.7152, 0.0722])
        assert 1.05 / (luminance + 0.05) > 2
    assert len(style.MARKERS) == len(style.PALETTE)


def test_a_heat_map_writes_each_weight_into_its_cell():
    _, (ax,) = style.panels(1)
    style.heatmap([[0.1, 0.9], [0.5, 0.5]], ["q1", "q2"], ["k1", "k2"], ax=ax, title="weights")
    assert [text.get_text() for text in ax.texts] == ["0.10", "0.90", "0.50", "0.50"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["q1", "q2"]
    assert ax.get_title(loc="left") == "weights"


def test_a_heat_map_refuses_labels_that_do_not_fit():
    _, (ax,) = style.panels(1)
    with pytest.raises(ValueError, match=r"shape \(2, 2\) is not that of the labels, \(1, 2\)"):
        style.heatmap(np.eye(2), ["q"], ["k1", "k2"], ax=ax)


def test_a_mask_is_drawn_cell_by_cell():
    _, (ax,) = style.panels(1)
    style.mask_grid(np.tri(3, dtype=bool), ax=ax, title="causal")
    assert np.array_equal(ax.images[0].get_array(), np.tri(3))


def test_a_curve_carries_its_interval():
    _, (ax,) = style.panels(1)
    style.bands([1, 2], {"curve": ([1.0, 2.0], [0.5, 1.5], [1.5, 3.0])}, ax=ax)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == 0.5
    assert band.max() == 3.0


def test_every_figure_has_the_width_of_the_book_and_a_white_ground():
    figure, axes = style.panels(2, rows=2)
    assert len(axes) == 4
    assert figure.get_figwidth() == style.WIDTH
    assert mpl.colors.to_hex(figure.get_facecolor()) == "#ffffff"
