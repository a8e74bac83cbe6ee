"""What does a training need of each device? A calculator that works in a built page and in JupyterLab.

Its script is `scaling.parallelism.needs` in JavaScript. It works with keyboard and mouse, follows the page's light or
dark colours, and carries the plans that it offers as a table for readers without script.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from largemodels.base.errors import InputError
from largemodels.figures.interactive import figure_html
from largemodels.scaling.formulas import TransformerShape, parameters_of
from largemodels.scaling.memory import Recomputed, block_activation_bytes
from largemodels.scaling.parallelism import Layout, Needs, needs

GIGABYTE = 1e9
SIZES = {
    "data": "copies that read other texts",
    "tensor": "devices that share each matrix",
    "pipeline": "stages that share the blocks",
    "sequences": "texts in a micro-batch",
    "micro_batches": "micro-batches in a step",
}  # the fields of whole numbers, as they are called in the page


@dataclass(frozen=True)
class Plan:
    """A model on some devices.

    Attributes:
        model: its name among the calculator's models.
        layout: how its training is spread.
        device_gigabytes: memory of a device.
    """

    model: str
    layout: Layout
    device_gigabytes: float = 80


@dataclass(frozen=True)
class ParallelismCalculator:
    """A form for a model and a layout that says what each device holds, sends and waits for; shown as HTML.

    Attributes:
        models: shapes and lengths of their texts, by name.
        plans: what a click fills in, by name; the first is filled in from the start.
        caption: plain text under the form.

    Raises:
        InputError: when there is no plan, or one that cannot be.
    """

    models: Mapping[str, tuple[TransformerShape, int]]
    plans: Mapping[str, Plan]
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.plans:
            raise InputError("plans: there is none to fill in")
        for name, plan in self.plans.items():
            if plan.model not in self.models:
                raise InputError(f"plans: {name} is for {plan.model}, which is not among the models")
            self.needs(plan)

    def needs(self, plan: Plan) -> Needs:
        """What a plan needs of each device."""
        return needs(*self.models[plan.model], plan.layout)

    def __repr__(self) -> str:
        """What each plan needs, as text."""
        return "\n".join(f"{name}: {self._sentence(plan)}" for name, plan in self.plans.items())

    def _sentence(self, plan: Plan) -> str:
        found = self.needs(plan)
        fits = "fits" if found.memory <= plan.device_gigabytes * GIGABYTE else "does not fit"
        devices = f"{plan.layout.devices:,} device{'s' if plan.layout.devices > 1 else ''}"
        return (
            f"{devices} with {gigabytes(found.memory)} each: {gigabytes(found.states)} of states and "
            f"{gigabytes(found.activations)} of activations, which {fits}. In a step each sends "
            f"{gigabytes(found.data_traffic)} between copies, {gigabytes(found.tensor_traffic)} for divided matrices "
            f"and {gigabytes(found.pipeline_traffic)} between stages. It waits for {found.bubble:.1%} of the time."
        )

    def _row(self, plan: Plan) -> tuple[str, ...]:
        found = self.needs(plan)
        held = (found.states, found.activations, found.data_traffic, found.tensor_traffic, found.pipeline_traffic)
        return f"{plan.layout.devices:,}", *map(gigabytes, held), f"{found.bubble:.1%}"

    def _repr_html_(self) -> str:
        offered = {
            name: {"model": plan.model, **asdict(plan.layout), "memory": plan.device_gigabytes}
            for name, plan in self.plans.items()
        }
        first = next(iter(self.plans))
        values = {
            "sizes": SIZES,
            "recomputed": get_args(Recomputed),
            "models": {name: _numbers(*model) for name, model in self.models.items()},
            "plans": offered,
            "first": offered[first],
            "says": self._sentence(self.plans[first]),
            "rows": {name: self._row(plan) for name, plan in self.plans.items()},
        }
        here = Path(__file__)
        return figure_html(
            "parallelism-calculator",
            {},
            here.with_name("parallelism_calculator.html").read_text(encoding="utf-8"),
            values,
            caption=self.caption,
            style=here.with_name("parallelism_calculator.css").read_text(encoding="utf-8"),
            script=here.with_name("parallelism_calculator.js").read_text(encoding="utf-8"),
        )


def gigabytes(size: float) -> str:
    """Bytes in words, in billions: one digit behind the point below a hundred, none from there on."""
    size /= GIGABYTE
    return f"{size:,.0f} GB" if size >= 100 else f"{size:.1f} GB"


def _numbers(shape: TransformerShape, length: int) -> dict[str, object]:
    """What the script has to know of a model."""
    return {
        "parameters": parameters_of(shape),
        "layers": shape.num_layers,
        "heads": shape.num_heads,
        "width": shape.width,
        "length": length,
        "parallel": shape.parallel,
        "kept": {each: block_activation_bytes(shape, length, recomputed=each) for each in get_args(Recomputed)},
    }
