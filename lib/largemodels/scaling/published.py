"""Shapes, sizes and trainings of models as their papers state them, a source for each.

The key of a source is that of the book's list of references. What a paper leaves open is None.
"""

from __future__ import annotations

from dataclasses import dataclass

from largemodels.scaling.formulas import TransformerShape


@dataclass(frozen=True)
class Published:
    """A model as published.

    Attributes:
        shape: its numbers.
        parameters: how many it has, as the source says.
        source: key of the reference.
        length: tokens of a text in training; 0 where the source does not say.
        tokens: that it was trained on.
        flops: operations of the training, as the source says.
        embedded: whether the published size has the embedding in it.
        note: what the shape or the size leaves out.
    """

    shape: TransformerShape
    parameters: float
    source: str
    length: int
    tokens: float | None = None
    flops: float | None = None
    embedded: bool = True
    note: str = ""


def _bert(width: int, num_layers: int, num_heads: int) -> TransformerShape:
    return TransformerShape(
        30_522, width, num_layers, num_heads, 4 * width, positions=512, segments=2, output="none", pooler=True
    )


def _gpt(width: int, num_layers: int, num_heads: int, positions: int) -> TransformerShape:
    return TransformerShape(50_257, width, num_layers, num_heads, 4 * width, positions=positions)


def _palm(width: int, num_layers: int, num_heads: int) -> TransformerShape:
    return TransformerShape(
        256_000, width, num_layers, num_heads, 4 * width,
        key_value_heads=1, head_dim=256, gated=True, biases=False, parallel=True,
    )  # fmt: skip


def _llama(vocabulary: int, width: int, num_layers: int, num_heads: int, shared: int, inner: int) -> TransformerShape:
    return TransformerShape(
        vocabulary, width, num_layers, num_heads, inner, key_value_heads=shared, gated=True, biases=False, output="own"
    )


PUBLISHED = {
    "BERT-base": Published(_bert(768, 12, 12), 110e6, "devlin2019bert", 512, note="rounded; heads of pretraining"),
    "BERT-large": Published(_bert(1024, 24, 16), 340e6, "devlin2019bert", 512, note="rounded; heads of pretraining"),
    "GPT-2, smallest": Published(
        _gpt(768, 12, 12, 1024), 117e6, "radford2019language", 1024, note="miscounted in the paper; 124M since"
    ),
    "GPT-2, largest": Published(
        _gpt(1600, 48, 25, 1024), 1542e6, "radford2019language", 1024, note="miscounted in the paper; 1558M since"
    ),
    "GPT-3": Published(_gpt(12_288, 96, 96, 2048), 174.6e9, "brown2020language", 2048, 300e9, 3.14e23),
    "LaMDA": Published(
        TransformerShape(32_000, 8192, 64, 128, 65_536, head_dim=128, gated=True, biases=False),
        137e9,
        "thoppilan2022lamda",
        0,
        None,
        3.55e23,
        embedded=False,
        note="biases of relative positions",
    ),
    "PaLM 8B": Published(_palm(4096, 32, 16), 8.63e9, "chowdhery2023palm", 2048),
    "PaLM 62B": Published(_palm(8192, 64, 32), 62.50e9, "chowdhery2023palm", 2048),
    "PaLM 540B": Published(_palm(18_432, 118, 48), 540.35e9, "chowdhery2023palm", 2048, 780e9, 2.5272e24),
    "Llama 2 7B": Published(
        _llama(32_000, 4096, 32, 32, 32, 11_008), 7e9, "touvron2023llama2", 4096, 2e12, note="rounded"
    ),
    "Llama 2 70B": Published(
        _llama(32_000, 8192, 80, 64, 8, 28_672), 70e9, "touvron2023llama2", 4096, 2e12, note="rounded"
    ),
    "Llama 3 8B": Published(
        _llama(128_256, 4096, 32, 32, 8, 14_336), 8e9, "grattafiori2024llama", 8192, note="rounded"
    ),
}
