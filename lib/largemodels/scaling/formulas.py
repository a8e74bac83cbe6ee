"""The parameters of a Transformer from its shape, and the floating-point operations of reading a token with it.

A multiply-add counts as two operations. What is counted are matrix products, as in PaLM's definition of utilisation
(Chowdhery et al. 2022, appendix B); softmax, normalisation and activations are a percent or two of them and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PreTrainedModel

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder

BACKWARD = 2
"""Products of the backward pass for each of the forward pass: one for the input's gradient, one for the weight's."""


@dataclass(frozen=True)
class TransformerShape:
    """The numbers that make a Transformer, as papers give them.

    Attributes:
        vocabulary_size: tokens that it knows.
        width: components of a token.
        num_layers: blocks.
        num_heads: attention heads, for the queries.
        inner: components between the matrices of the feed-forward layer.
        key_value_heads: heads for keys and values; 0 for as many as there are for the queries.
        head_dim: components of a query, a key or a value; 0 for width / num_heads.
        gated: whether the feed-forward layer has a third matrix, the gate.
        biases: whether matrices have a bias, and normalisations a shift.
        parallel: whether attention and feed-forward layer read the same normalised token, as in PaLM.
        positions: learnt position vectors; 0 for rotations or relative distances, which have none.
        segments: learnt vectors that tell a first text from a second.
        output: the matrix to the vocabulary: the embedding again, one of its own, or none, as in an encoder.
        pooler: whether an encoder has one more matrix for `[CLS]`.
    """

    vocabulary_size: int
    width: int
    num_layers: int
    num_heads: int
    inner: int
    key_value_heads: int = 0
    head_dim: int = 0
    gated: bool = False
    biases: bool = True
    parallel: bool = False
    positions: int = 0
    segments: int = 0
    output: Literal["tied", "own", "none"] = "tied"
    pooler: bool = False

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "width", "num_layers", "num_heads", "inner"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} is not at least 1")
        if not self.head_dim and self.width % self.num_heads:
            raise InputError(f"width: {self.width} is not a multiple of num_heads, {self.num_heads}; give head_dim")
        if self.key_value_heads < 0 or self.num_heads % self.shared_heads:
            raise InputError(f"key_value_heads: {self.key_value_heads} does not divide num_heads, {self.num_heads}")

    @property
    def shared_heads(self) -> int:
        """Heads for keys and values."""
        return self.key_value_heads or self.num_heads

    @property
    def head_width(self) -> int:
        """Components of a query, a key or a value."""
        return self.head_dim or self.width // self.num_heads


def parameter_parts(shape: TransformerShape) -> dict[str, int]:
    """The parameters of each part: embedding, positions, attention, feed-forward, thin, output and pooler.

    Thin are biases and normalisations: one or two for each component.
    """
    wide, narrow = shape.num_heads * shape.head_width, shape.shared_heads * shape.head_width
    matrices = 3 if shape.gated else 2
    norm = shape.width * (2 if shape.biases else 1)
    biases = (wide + 2 * narrow + shape.width) + (matrices - 1) * shape.inner + shape.width
    thin_of_block = (1 if shape.parallel else 2) * norm + (biases if shape.biases else 0)
    return {
        "embedding": shape.vocabulary_size * shape.width,
        "positions": (shape.positions + shape.segments) * shape.width,
        "attention": shape.num_layers * shape.width * (2 * wide + 2 * narrow),
        "feed-forward": shape.num_layers * matrices * shape.width * shape.inner,
        "thin": shape.num_layers * thin_of_block + norm,
        "output": shape.vocabulary_size * shape.width if shape.output == "own" else 0,
        "pooler": shape.width**2 + shape.width if shape.pooler else 0,
    }


def parameters_of(shape: TransformerShape) -> int:
    """The parameters of a Transformer; a matrix that is used twice counts once.

    Examples:
        >>> gpt2 = TransformerShape(50_257, 768, 12, 12, 3072, positions=1024)
        >>> parameters_of(gpt2)
        124439808
    """
    return sum(parameter_parts(shape).values())


def multiplied_parameters(shape: TransformerShape) -> int:
    """The parameters that each token is multiplied by: the matrices of the blocks, and the one to the vocabulary.

    An embedding is looked up, which costs nothing, unless it is the output's matrix as well. A pooler reads a single
    token, and is left out.
    """
    parts = parameter_parts(shape)
    to_vocabulary = 0 if shape.output == "none" else parts["embedding"]
    return parts["attention"] + parts["feed-forward"] + to_vocabulary


def forward_flops(shape: TransformerShape, length: int = 0) -> int:
    """Operations of the forward pass for each token of a text of `length` tokens: 2 N + 4 · L · H · Q · T.

    N are the multiplied parameters, L the layers, H the heads, Q their width and T the length. Every query meets all T
    keys: a kernel that leaves the masked half of causal attention out does half of the second part. A length of 0
    leaves that part out.
    """
    attention = 4 * shape.num_layers * shape.num_heads * shape.head_width * length
    return 2 * multiplied_parameters(shape) + attention


def training_flops(shape: TransformerShape, tokens: float, length: int = 0) -> float:
    """Operations of training on so many tokens: three times those of the forward pass.

    Args:
        shape: of the model.
        tokens: that are read in all.
        length: tokens of a text; 0 leaves the products of queries, keys and values out, and 6 · N · D remains.

    Raises:
        InputError: for a number of tokens that is not above 0.
    """
    if not tokens > 0:
        raise InputError(f"tokens: {tokens} is not above 0")
    return (1 + BACKWARD) * forward_flops(shape, length) * tokens


def utilisation(shape: TransformerShape, length: int, tokens_a_second: float, peak: float) -> float:
    """The model-FLOP utilisation: operations of training done a second, as a share of the peak of all devices.

    What a model needs counts, and not what its program does: work that is done a second time to save memory lowers the
    utilisation (Chowdhery et al. 2022).

    Raises:
        InputError: for a peak that is not above 0.
    """
    if not peak > 0:
        raise InputError(f"peak: {peak} is not above 0")
    return training_flops(shape, tokens_a_second, length) / peak


def shape_of(model: nn.Module) -> TransformerShape:
    """The shape of a decoder of this book, or of a BERT, GPT-2 or Llama of `transformers`.

    Raises:
        InputError: for another family.
    """
    if isinstance(model, Decoder):
        its = model.shape
        return TransformerShape(
            its.vocabulary_size, its.width, its.num_layers, its.num_heads, its.inner, its.key_value_heads,
            gated=True, biases=False,
        )  # fmt: skip
    config = model.config if isinstance(model, PreTrainedModel) else None
    family = getattr(config, "model_type", type(model).__name__)
    if family not in ("bert", "gpt2", "llama"):
        raise InputError(f"{family}: no formula here; only bert, gpt2, llama and this book's decoder")
    options: dict[str, object] = {}
    if family == "llama":
        options |= {"key_value_heads": config.num_key_value_heads, "head_dim": config.head_dim or 0}
        options |= {"gated": True, "biases": False}
    else:
        options["positions"] = config.max_position_embeddings
    if family == "bert":
        options |= {"segments": config.type_vocab_size, "pooler": model.base_model.pooler is not None}
    head = model.get_output_embeddings()
    if head is None:
        options["output"] = "none"
    elif head.weight is not model.get_input_embeddings().weight:
        options["output"] = "own"
    inner = config.n_inner or 4 * config.hidden_size if family == "gpt2" else config.intermediate_size
    heads = config.num_attention_heads
    return TransformerShape(config.vocab_size, config.hidden_size, config.num_hidden_layers, heads, inner, **options)
