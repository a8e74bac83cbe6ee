"""A small network that learns from a large one's answers, and from its hidden states.

A label says which class is right; a teacher's distribution also says how near the others are. The student is made of
some of its teacher's layers, or is a narrower network of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.compression.structured import keep_layers
from largemodels.models.batches import LabelledBatches, reads_token_types
from largemodels.models.training import Recipe, train


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² times the mean divergence of the student's distribution from the teacher's, both at temperature T, in nats.

    A high temperature shows how the teacher ranks the classes that it holds for wrong. It divides the gradient of a
    logit by T, and makes the distributions alike by another T: T² keeps the gradient's size, so that the weight of this
    loss beside another means the same at every temperature (Hinton et al. 2015).

    Args:
        student: logits, `(batch, classes)`.
        teacher: logits of the same texts.
        temperature: T, above 0.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0, 1.0]])
        >>> float(soft_loss(logits, logits + 5, temperature=4.0))
        0.0
    """
    if not temperature > 0:
        raise InputError(f"temperature: {temperature} is not above 0")
    log_p, log_q = (teacher / temperature).log_softmax(-1), (student / temperature).log_softmax(-1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def hidden_loss(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean square distance of two networks' hidden states, `(batch, length, width)`, padding left out.

    TinyBERT's loss on hidden states (Jiao et al. 2020), without its matrix where the widths are equal.
    """
    return (student - teacher).square().mean(-1)[attention_mask.bool()].mean()


def student_of(teacher: PreTrainedModel, layers: Sequence[int]) -> PreTrainedModel:
    """A classifier of some of its teacher's layers, embeddings and head, as DistilBERT begins (Sanh et al. 2019).

    Raises:
        InputError: as `structured.keep_layers`, or for all layers.
    """
    student = keep_layers(copy.deepcopy(teacher), layers)
    check_smaller(student, teacher)
    return student


def narrow_student(
    teacher: PreTrainedModel, *, hidden_size: int, num_layers: int, num_heads: int, inner_size: int, seed: int
) -> PreTrainedModel:
    """A classifier of its teacher's family and labels with other sizes and random weights; other generators are left.

    Raises:
        InputError: for heads that do not divide the width, or a network that is not smaller than the teacher.
    """
    if hidden_size % num_heads:
        raise InputError(f"num_heads: {num_heads} does not divide hidden_size, {hidden_size}")
    config = copy.deepcopy(teacher.config)
    config.hidden_size, config.intermediate_size = hidden_size, inner_size
    config.num_hidden_layers, config.num_attention_heads = num_layers, num_heads
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[0]] * num_layers
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = AutoModelForSequenceClassification.from_config(config).eval()
    check_smaller(student, teacher)
    return student


def check_smaller(student: nn.Module, teacher: nn.Module) -> None:
    """Refuse a student that has as many parameters as its teacher, or more."""
    small, large = (sum(weight.numel() for weight in each.parameters()) for each in (student, teacher))
    if small >= large:
        raise InputError(
            f"student: has {small:,} parameters, and its teacher {large:,}; a student is smaller than its teacher"
        )


class _Lesson(nn.Module):
    """The student with the loss of a distillation, as a training wants it."""

    def __init__(
        self,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        temperature: float,
        soft: float,
        hidden: float,
    ) -> None:
        super().__init__()
        self.student, self.shown = student, [teacher]  # in a list: none of its weights is the student's
        self.temperature, self.soft, self.hidden = temperature, soft, hidden
        widths = [each.config.get_text_config().hidden_size for each in (student, teacher)]
        self.widen = nn.Linear(*widths, bias=False) if hidden and widths[0] != widths[1] else nn.Identity()

    @property
    def device(self) -> torch.device:
        return self.student.device

    def forward(self, labels: Tensor | None = None, **batch: Tensor) -> dict[str, Tensor]:
        asked = {"output_hidden_states": bool(self.hidden)}
        answer = self.student(**batch, **asked)
        loss = answer.logits.new_zeros(())
        if self.soft or self.hidden:  # else nothing is learnt from the teacher, whose answer costs the most
            with torch.no_grad():
                taught = self.teacher(**batch, **asked)
        if self.soft:
            loss = loss + self.soft * soft_loss(answer.logits, taught.logits, self.temperature)
        if labels is not None and self.soft < 1:
            loss = loss + (1 - self.soft) * F.cross_entropy(answer.logits, labels)
        if self.hidden:
            loss = loss + self.hidden * self._hidden_loss(answer.hidden_states, taught.hidden_states, batch)
        return {"loss": loss}

    @property
    def teacher(self) -> PreTrainedModel:
        return self.shown[0].to(self.device)

    def _hidden_loss(self, ours: Sequence[Tensor], theirs: Sequence[Tensor], batch: dict[str, Tensor]) -> Tensor:
        """The mean over the student's layers, each beside the teacher's that stands as high."""
        layers, pairs = len(ours) - 1, []
        for layer in range(1, layers + 1):
            higher = theirs[round(layer * (len(theirs) - 1) / layers)]
            pairs.append(hidden_loss(self.widen(ours[layer]), higher, batch["attention_mask"]))
        return torch.stack(pairs).mean()


def distil(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    recipe: Recipe,
    *,
    max_length: int,
    temperature: float = 2.0,
    soft: float = 0.5,
    hidden: float = 0.0,
) -> pd.DataFrame:
    """The history of a distillation, as `training.train` has it; `student` is trained in place.

    The loss is (1 − soft) · cross-entropy of the labels + soft · `soft_loss` + hidden · `hidden_loss`.

    Args:
        student: a classifier with the teacher's classes, smaller than it.
        teacher: it answers every batch anew, in evaluation mode, and is not changed.
        tokenizer: of both.
        examples: text, for pairs text_pair, and, unless `soft` is 1, label.
        recipe: the numbers of the training.
        max_length: tokens of a text at most.
        temperature: of both distributions in the soft loss.
        soft: the weight of the teacher's answers, 0 to 1; the rest is the labels'.
        hidden: the weight of the hidden states, those of layer k of n beside the teacher's layer k / n of the way up.

    Raises:
        InputError: for a student that is not smaller, other classes, or a weight out of range.
    """
    check_smaller(student, teacher)
    if student.config.id2label != teacher.config.id2label:
        raise InputError("student: its classes are not those of its teacher")
    if not 0 <= soft <= 1 or not hidden >= 0:
        raise InputError(f"soft, hidden: {soft} is not between 0 and 1, or {hidden} is below 0")
    batches = partial(
        LabelledBatches, examples, tokenizer, max_length=max_length, token_types=reads_token_types(student)
    )
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        lesson = _Lesson(student, teacher.eval(), temperature, soft, hidden)
    return train(lesson, tokenizer, batches, recipe)
