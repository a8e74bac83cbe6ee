"""Fine-tuning on labelled texts of one domain and unlabelled ones of another, with a loss that makes both alike.

A batch holds rows of both domains, and a classifier is wrapped so that its forward pass adds the loss. Everything else
is `largemodels.models.training`; and the source texts of each step are those that `classifiers.fine_tune` takes with
the same seed, so that a difference between the two is the loss's.
"""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from transformers.modeling_outputs import SequenceClassifierOutput

from largemodels.base.errors import InputError
from largemodels.domain_adaptation.alignment import Alignment, DomainCritic, coral_loss, mmd_squared, reversal_schedule
from largemodels.models.batches import LabelledBatches, reads_token_types
from largemodels.models.classifiers import class_log_probabilities, unlabelled_batches
from largemodels.models.losses import IGNORED
from largemodels.models.training import Recipe, train

_EVERY_TOKEN = "method: the model's last layer reads every token, not one vector a text; take another"


class TwoDomainBatches(LabelledBatches):
    """Batches of labelled source texts, each with as many unlabelled target texts behind them.

    The label of a target text is `IGNORED`. Batches are planned by the source's lengths, and a batch of long source
    texts gets long target texts: the i-th longest share of one domain goes with that of the other, and each target
    text is as likely as any other. Texts at random would let a domain classifier go by the length of the batch.
    """

    def __init__(
        self,
        source: pd.DataFrame,
        target: pd.DataFrame,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_tokens: int,
        **options: Any,
    ) -> None:
        """Plan the batches.

        Args:
            source: text, for pairs text_pair, and label.
            target: text and, for pairs, text_pair; labels are ignored.
            tokenizer: the model's.
            batch_tokens: tokens of source texts in a batch at most; with the target's there are about twice as many.
            **options: max_length, seed, token_types and batches, as for `LabelledBatches`.
        """
        if ("text_pair" in source) != ("text_pair" in target):
            raise InputError("target: pairs of texts and single texts do not go together")
        if not len(target):
            raise InputError("target: there are no texts")
        super().__init__(source, tokenizer, batch_tokens=batch_tokens, **options)
        unlabelled = target.drop(columns="label", errors="ignore")
        behind = LabelledBatches(unlabelled, tokenizer, batch_tokens=batch_tokens, **options)
        self._rank = np.argsort(np.argsort(self._lengths, kind="stable"))  # (source texts,)
        self._by_length = len(source) + np.argsort(behind._lengths, kind="stable")  # (target texts,)
        self.input_ids = self.input_ids + behind.input_ids
        if self.token_type_ids is not None:
            self.token_type_ids = self.token_type_ids + behind.token_type_ids
        self.labels = torch.cat([self.labels, torch.full((len(target),), IGNORED)])

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some source texts and as many target texts, which are drawn."""
        places = (self._rank[members] + torch.rand(len(members), generator=generator).numpy()) / len(self._rank)
        partners = self._by_length[(places * len(self._by_length)).astype(int).clip(max=len(self._by_length) - 1)]
        return super().make(np.concatenate([members, partners]), generator)

    def tokens(self, index: int) -> int:
        """Tokens in a batch, of both domains, padding left out."""
        return int(self[index]["attention_mask"].sum())


class AlignedClassifier(nn.Module):
    """A sequence classifier whose loss is the usual one on labelled rows, plus one that makes features alike.

    Features are the inputs of its last linear layer, `(batch, features)`. The classifier is trained in place and is
    complete without this wrapper.
    """

    def __init__(self, classifier: PreTrainedModel, method: Alignment, weight: float = 1.0, seed: int = 0) -> None:
        """Wrap a classifier; with "dann" the weight is the reversed gradient's, and the critic learns at full weight.

        Raises:
            InputError: for an unknown method, or a model whose last layer does not read one vector a text.
        """
        super().__init__()
        if method not in get_args(Alignment):
            raise InputError(f"method: {method} is not one of {', '.join(get_args(Alignment))}")
        self.classifier, self.method, self.weight, self.progress = classifier, method, weight, 0.0
        head = _last_linear(classifier)
        self.critic = DomainCritic(head.in_features, seed=seed) if method == "dann" else None
        self._features: Tensor | None = None
        self._hook = head.register_forward_pre_hook(self._keep)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.classifier.device

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, **more) -> SequenceClassifierOutput:
        """The loss and the logits `(batch, classes)`; rows whose label is `IGNORED` are the target's.

        A batch with fewer than two rows of a domain has no added loss.
        """
        logits = self.classifier(input_ids=input_ids, attention_mask=attention_mask, **more).logits
        features, self._features = self._features, None
        loss, unlabelled = F.cross_entropy(logits, labels, ignore_index=IGNORED), labels == IGNORED
        if min(unlabelled.sum(), (~unlabelled).sum()) >= 2:
            loss = loss + self._alignment(features[~unlabelled].float(), features[unlabelled].float())
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _alignment(self, source: Tensor, target: Tensor) -> Tensor:
        if self.critic is not None:
            return self.critic(source, target, self.weight * reversal_schedule(self.progress))
        return self.weight * (coral_loss if self.method == "coral" else mmd_squared)(source, target)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor]) -> None:
        if inputs[0].ndim != 2:
            raise InputError(_EVERY_TOKEN)
        self._features = inputs[0]

    def unwrap(self) -> PreTrainedModel:
        """The classifier, without the wrapper's hook."""
        self._hook.remove()
        return self.classifier


def _last_linear(classifier: PreTrainedModel) -> nn.Linear:
    """The layer that gives the logits."""
    inside = f"{classifier.base_model_prefix}."
    modules = classifier.named_modules()
    layers = [each for name, each in modules if isinstance(each, nn.Linear) and not name.startswith(inside)]
    if not layers or layers[-1].out_features != classifier.config.num_labels:
        raise InputError(f"method: {classifier.config.model_type} ends in no linear layer; take another model")
    return layers[-1]


class _Progress(TrainerCallback):
    """Tells the model the share of the training that is done, which a resumed training starts from."""

    def __init__(self, model: AlignedClassifier) -> None:
        self._model = model

    def on_step_begin(self, args, state, control, **options) -> None:
        self._model.progress = min(1.0, state.global_step / state.max_steps)


@torch.no_grad()
def features_of(
    classifier: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    *,
    max_length: int,
    batch_tokens: int = 2048,
) -> np.ndarray:
    """The inputs of a classifier's last linear layer for each text, `(examples, features)`.

    The classifier is left in evaluation mode; so many tokens are computed at a time, which changes no feature.

    Raises:
        InputError: for a model whose last layer does not read one vector a text.
    """
    batches = unlabelled_batches(classifier, tokenizer, examples, max_length, batch_tokens)
    features: list[Tensor] = []
    hook = _last_linear(classifier).register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
    try:
        class_log_probabilities(classifier, batches)
    finally:
        hook.remove()
    if features[0].ndim != 2:
        raise InputError(_EVERY_TOKEN)
    rows = np.concatenate([batches.members(index) for index in range(batches.batches_per_epoch)])
    return torch.cat(features).float().cpu().numpy()[np.argsort(rows)]


def fine_tune_across(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    source: pd.DataFrame,
    target: pd.DataFrame,
    recipe: Recipe,
    *,
    method: Alignment,
    weight: float = 1.0,
    max_length: int,
    **options: Any,
) -> pd.DataFrame:
    """The history of a training on labelled source and unlabelled target texts; `model` is trained in place.

    It takes the source texts that `classifiers.fine_tune` takes with the same recipe, step by step, and as many target
    texts; the tokens of the history are those of both. Methods: "dann" (Ganin et al. 2016, with their schedule),
    "coral" (Sun and Saenko 2016) and "mmd" (Long et al. 2015, on the last features only). The scale of `weight` is
    each method's own, and it is to be chosen without target labels: "coral" divides by the features squared and takes a
    large one; Sun and Saenko make both losses about as large at the end.

    A critic whose loss ends at chance, ln 2, or above does not prove the features alike: a new domain classifier may
    well tell them apart (Elazar and Goldberg 2018), as `distance.proxy_a_distance` shows.

    Args:
        model: a sequence classifier, such as `loading.load_classifier` gives.
        tokenizer: the model's.
        source: to learn from: text, for pairs text_pair, and label (the class, from 0).
        target: text of the other domain; labels are ignored.
        recipe: steps, rates and seed, such as `classifiers.recipe_for(tokenizer, source, …)`. No label smoothing.
        method: the loss that is added; the history's loss is the sum of both.
        weight: of the added loss; 0 leaves the training as it is without the target.
        max_length: tokens of a text at most.
        **options: folder and saves, as for `training.train`; a checkpoint holds the critic too.

    Raises:
        InputError: for an unknown method, a model that gives no features, a recipe with label smoothing, a domain
            without texts, pairs in one domain alone, or what `training.train` refuses.
    """
    if recipe.label_smoothing:
        raise InputError(f"label_smoothing: {recipe.label_smoothing} does not go with the loss of two domains; give 0")
    aligned = AlignedClassifier(model, method, weight, seed=recipe.seed)
    types = reads_token_types(model)
    batches = partial(TwoDomainBatches, source, target, tokenizer, max_length=max_length, token_types=types)
    try:
        return train(aligned, tokenizer, batches, recipe, callbacks=[_Progress(aligned)], **options)
    finally:
        aligned.unwrap()
