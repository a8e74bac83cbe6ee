"""What a model's layers read on some text, and scales moved from what they read to their weights (SmoothQuant)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from largemodels.base.errors import InputError
from largemodels.models.batches import TokenSequences, pad


class _AllRead(Exception):
    """Every layer has read a batch, so that the rest of the model need not be computed."""


@torch.no_grad()
def layer_inputs(
    model: nn.Module, names: Sequence[str], windows: TokenSequences, *, at_once: int = 8
) -> dict[str, Tensor]:
    """The vectors that some layers read, `(tokens, in)` for each name, in the order of the windows, without padding.

    `np.repeat(windows.documents, windows.lengths)` has the document of each row. What comes behind the last of these
    layers is not computed. The model is left in evaluation mode.

    Args:
        names: of modules of the model that are called with one tensor, `(batch, length, in)`.
        at_once: windows in a batch.
    """
    read: dict[str, list[Tensor]] = {name: [] for name in names}
    tokens = torch.empty(0)

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            read[name].append(given[0][tokens])
            if len({len(each) for each in read.values()}) == 1:
                raise _AllRead

        return hook

    hooks = [model.get_submodule(name).register_forward_pre_hook(keep(name)) for name in names]
    try:
        model.eval()
        for start in range(0, len(windows), at_once):
            batch = pad(windows.input_ids[start : start + at_once], pad_token_id=0)
            tokens = batch["attention_mask"].bool()
            with suppress(_AllRead):
                model(**{name: each.to(model.device) for name, each in batch.items()})
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(each) for name, each in read.items()}


def smoothing_factors(inputs: Tensor, weights: Sequence[Tensor], alpha: float) -> Tensor:
    """What each channel of a layer's inputs is divided by, and the weights are multiplied by, `(in,)`.

    s_j = max|X_j|^α / max|W_j|^(1 − α) (Xiao et al. 2023): with α = 0 the weights' channels become equally large, with
    α = 1 the inputs'.

    Args:
        inputs: `(tokens, in)`, on calibration text.
        weights: of the layers that read them, `(out, in)` each.
        alpha: the migration strength, 0 to 1.

    Raises:
        InputError: for a strength outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: {alpha} is not between 0 and 1")
    largest = inputs.abs().amax(0).clamp(min=1e-5)
    heaviest = torch.cat(list(weights)).abs().amax(0).clamp(min=1e-5)
    return largest**alpha / heaviest ** (1 - alpha)


@torch.no_grad()
def move_scales(norm: nn.Module, layers: Sequence[nn.Linear], factors: Tensor) -> None:
    """Divide what a normalisation gives by factors, `(width,)`, and multiply the columns of its readers by them.

    All is done in place, and no output changes but by rounding, as long as nothing but these layers reads what the
    normalisation gives.
    """
    for parameter in norm.parameters():  # the gain, and the shift where there is one
        parameter /= factors
    for layer in layers:
        layer.weight *= factors
