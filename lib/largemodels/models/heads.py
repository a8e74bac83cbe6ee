"""The head of a classifier: whether a checkpoint's is kept for the labels of the data, in which order, and why not.

A head has a row for each label, and only the names in the configuration say which row is which. So it is kept where
these are the names of the data, its rows put in their order; in any other case it is a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from largemodels.base.errors import few


@dataclass(frozen=True)
class Head:
    """What becomes of a checkpoint's head.

    Attributes:
        order: for each label of the data its row in the checkpoint's head; None for a new head.
        left_out: the checkpoint's tensors that are not loaded, because they are of other labels.
        said: what happens and why, for readers.
    """

    order: tuple[int, ...] | None
    left_out: frozenset[str]
    said: str


def head_for(config: PreTrainedConfig, stored: Mapping[str, object], labels: Sequence[str]) -> Head:
    """The head that a checkpoint with this configuration gives a classifier for these labels.

    Args:
        config: as it stands beside the weights.
        stored: the tensors in the weights, by name.
        labels: of the data, in their order.
    """
    there = frozenset(label_dimensions(config)) & stored.keys()
    theirs = list(map(str, config.id2label.values()))
    if not there:
        return Head(None, there, "new, because the files hold none for classes of texts")
    if config.problem_type == "regression" or len(theirs) == 1:
        return Head(None, there, "new, because the one in the files gives a number (regression) and no class")
    order = _order(labels, theirs)
    if order is None:
        return Head(None, there, f"new, because the one in the files is for other labels ({few(theirs)})")
    same = order == tuple(range(len(labels)))
    said = f"kept, because its labels are those of the data ({few(theirs)})"
    said += "" if same else f", and put in their order ({few(labels)})"
    if config.problem_type == "multi_label_classification":
        said += "; it was trained to give several labels to a text, and here gives one"
    return Head(order, frozenset(), said)


def _order(labels: Sequence[str], theirs: Sequence[str]) -> tuple[int, ...] | None:
    """The place of each label among the checkpoint's, by name, whatever its capitals; None unless all agree."""
    for form in (str, lambda name: name.strip().casefold()):
        ours, others = list(map(form, labels)), list(map(form, theirs))
        if sorted(ours) == sorted(others) and len(set(ours)) == len(ours):
            return tuple(map(others.index, ours))
    return None


def label_dimensions(config: PreTrainedConfig) -> dict[str, int]:
    """The parameters of a classifier that have a row for each label, by name, with the dimension of the labels.

    They are the ones whose shape changes with the number of labels; the networks that show it have no weights.
    """
    shapes = []
    for number in (2, 3):
        counted = type(config).from_dict({**config.to_dict(), "id2label": dict(enumerate(map(str, range(number))))})
        with torch.device("meta"):
            network = AutoModelForSequenceClassification.from_config(counted)
        shapes.append({name: tuple(weight.shape) for name, weight in network.named_parameters()})
    two, three = shapes
    return {
        name: next(place for place, (one, other) in enumerate(zip(shape, three[name], strict=True)) if one != other)
        for name, shape in two.items()
        if shape != three[name]
    }


@torch.no_grad()
def put_in_order(model: PreTrainedModel, order: Sequence[int]) -> None:
    """Let each label of a classifier have the row that `order` names, in place."""
    rows = torch.tensor(order)
    for name, dimension in label_dimensions(model.config).items():
        weight = model.get_parameter(name)
        weight.copy_(weight.index_select(dimension, rows.to(weight.device)))
