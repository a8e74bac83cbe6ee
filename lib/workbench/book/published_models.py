"""A file of published models, and their picture over time."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, TypeAdapter

from workbench.parameters import content
from workbench.runs.record import Part

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["recurrent", "encoder", "decoder", "encoder–decoder"]
Number = Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(lambda given: float(given) if given else None)]
PANELS = {
    "parameters": "parameters",
    "tokens_read": "tokens read in training",
    "operations": "operations of the training",
}
# Of a name, in points from its dot
PLACES = ((6, -3), (-6, -3), (0, 7), (0, -13), (6, 6), (-6, 6), (6, -12), (-6, -12))


class Model(Part):
    """A line of the file; what was not published is empty."""

    name: str
    released: Annotated[date, BeforeValidator(lambda month: date.fromisoformat(f"{month}-01"))]
    kind: Kind
    parameters: Annotated[float, Field(gt=0), BeforeValidator(float)]
    active_parameters: Number
    training_text: str
    tokens_read: Number
    operations: Number
    source: Annotated[str, Field(min_length=1)]


def read_models(path: Path) -> list[Model]:
    """The models of a file, the oldest first; a `ValueError` names what is wrong with one."""
    with path.open(encoding="utf-8", newline="") as file:
        models = TypeAdapter(list[Model]).validate_python(list(csv.DictReader(file)))
    return sorted(models, key=lambda model: model.released)


def picture(models: list[Model]) -> bytes:
    """Size, data and arithmetic over time as a PNG, a dot with its name for each model that published the number."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    style = content.figure_style()
    style.use_style()
    dots = {column: [(model, getattr(model, column)) for model in models] for column in PANELS}
    shown = {column: label for column, label in PANELS.items() if any(value for _, value in dots[column])}
    figure, axes = style.panels(1, rows=len(shown), height=3.9 * len(shown), sharex=True)
    for ax, (column, label) in zip(axes, shown.items(), strict=True):
        for kind, colour, marker in zip(get_args(Kind), style.PALETTE, style.MARKERS, strict=False):
            values = [(model.released, value) for model, value in dots[column] if value and model.kind == kind]
            ax.scatter(*(zip(*values, strict=True) if values else ([], [])), color=colour, marker=marker, label=kind)
        ax.set(yscale="log", ylabel=label)
        ax.margins(x=0.17, y=0.08)
    axes[0].legend()
    figure.canvas.draw()  # names are placed where the layout has put the dots
    figure.set_layout_engine("none")
    for ax, column in zip(axes, shown, strict=True):
        _name_dots(ax, [(model.name, model.released, value) for model, value in dots[column] if value])
    image = io.BytesIO()
    figure.savefig(image, format="png")
    plt.close(figure)
    return image.getvalue()


def _name_dots(ax: Axes, dots: list[tuple[str, date, float]]) -> None:
    """Write its name beside each dot, at the first place where it hides neither a dot nor another name."""
    from matplotlib.transforms import Bbox

    at = [ax.transData.transform((ax.convert_xunits(when), value)) for _, when, value in dots]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in at]
    for name, when, value in dots:
        for right, up in PLACES:
            side = {-1: "right", 0: "center", 1: "left"}[(right > 0) - (right < 0)]
            text = ax.annotate(name, (when, value), (right, up), textcoords="offset points", ha=side, fontsize=9)
            box = text.get_window_extent()
            if ax.bbox.x0 < box.x0 and box.x1 < ax.bbox.x1 and not any(map(box.overlaps, taken)):
                break
            text.remove()
        else:
            text = ax.annotate(name, (when, value), PLACES[0], textcoords="offset points", fontsize=9)
        taken.append(text.get_window_extent())
