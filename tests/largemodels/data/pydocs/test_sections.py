"""Docstrings are divided at their own headings, and their sentences labelled with them."""

from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from largemodels.data.pydocs.sections import labelled_sentences


def labelled(text):
    style, sentences = labelled_sentences(dedent(text).strip())
    return style, [(sentence.section, sentence.text) for sentence in sentences]


NUMPYDOC = """
    Fit a line to the points. It is straight.

    The line is found by least squares.

    .. note::
        Points are never weighted here.

    Parameters
    ----------
    x, y : array_like
        The coordinates of the points.
        They may hold missing values.
    rcond : float, optional
        Cut-off of small singular values.

    Returns
    -------
    ndarray
        The two coefficients found.

    Raises
    ------
    LinAlgError
        If the iteration does not converge.

    See Also
    --------
    polyfit : Fit a polynomial of any degree.

    Notes
    -----
    The method goes back to Gauss.

    References
    ----------
    .. [1] A book that nobody should read here.

    Examples
    --------
    The line through two points is exact.

    >>> fit([0, 1], [0, 1])
    """


def test_numpydoc_headings_label_their_sentences():
    assert labelled(NUMPYDOC) == (
        "numpydoc",
        [
            ("summary", "Fit a line to the points."),
            ("description", "The line is found by least squares."),
            ("notes", "Points are never weighted here."),
            ("parameters", "The coordinates of the points."),
            ("parameters", "They may hold missing values."),
            ("parameters", "Cut-off of small singular values."),
            ("returns", "The two coefficients found."),
            ("raises", "If the iteration does not converge."),
            ("notes", "The method goes back to Gauss."),
            ("examples", "The line through two points is exact."),
        ],
    )


GOOGLE = """
    fit(x, y, *, rcond=None) -> Tensor

    Fits a line to the points.

    .. warning::
        The points are never checked.

    Args:
        x (Tensor): the coordinates of the points,
            in any order at all.
        y (Union[Tensor, Tuple[int, int]],
            optional): the values at the points
        rcond (`float`, *optional*, defaults to 1e-5):
            Cut-off of small singular values.

    Keyword args:
        out: the tensor that is written to

    Returns:
        Tensor: the two coefficients of it.

    Raises:
        ValueError: If the shapes do not agree.

    Note: The method goes back to Gauss
    and to Legendre before him.

    Example::

        >>> fit(x, y)

    This text follows the example.
    """


def test_google_headings_label_their_sentences():
    assert labelled(GOOGLE) == (
        "google",
        [
            ("summary", "Fits a line to the points."),
            ("notes", "The points are never checked."),
            ("parameters", "the coordinates of the points, in any order at all."),
            ("parameters", "the values at the points"),
            ("parameters", "Cut-off of small singular values."),
            ("parameters", "the tensor that is written to"),
            ("returns", "the two coefficients of it."),
            ("raises", "If the shapes do not agree."),
            ("notes", "The method goes back to Gauss and to Legendre before him."),
            ("description", "This text follows the example."),
        ],
    )


def test_field_lists_label_their_sentences():
    text = """
        Fit a line to points.

        :param x: the coordinates of the points,
            in any order at all
        :type x: a type that nobody should read
        :return: the two coefficients of it
        :raises ValueError: if the shapes do not agree
        """
    assert labelled(text) == (
        "sphinx",
        [
            ("summary", "Fit a line to points."),
            ("parameters", "the coordinates of the points, in any order at all"),
            ("returns", "the two coefficients of it"),
            ("raises", "if the shapes do not agree"),
        ],
    )


def test_without_headings_the_first_sentence_is_the_summary():
    text = "Fit a line to points. It is straight and simple.\n\nNothing else is done here."
    assert labelled(text) == (
        "plain",
        [
            ("summary", "Fit a line to points."),
            ("description", "It is straight and simple."),
            ("description", "Nothing else is done here."),
        ],
    )


def test_a_short_first_sentence_leaves_no_summary():
    assert labelled("A model.\n\nIt has layers of attention.") == (
        "plain",
        [("description", "It has layers of attention.")],
    )


def test_items_without_a_heading_are_parameters():
    text = "hidden_size (`int`, *optional*, defaults to 768):\n    Width of the hidden layers."
    assert labelled(text) == ("google", [("parameters", "Width of the hidden layers.")])


def test_positions_count_unreadable_sentences_too():
    _, sentences = labelled_sentences("Fit a line to points. Short. It is straight and simple.")
    assert [sentence.position for sentence in sentences] == [0, 2]


@given(st.text(alphabet="ARrgsetun:-= \n\tx.`()|>*") | st.text())
def test_any_text_is_divided_without_an_error(text):
    style, sentences = labelled_sentences(text)
    assert style in {"numpydoc", "google", "sphinx", "plain"}
    positions = [sentence.position for sentence in sentences]
    assert positions == sorted(set(positions))
