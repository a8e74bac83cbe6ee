"""Made-up documents, a tokenizer that knows their words and networks that read them, for the tests of trainings."""

import functools
import random

import numpy as np
import pandas as pd

from largemodels.models.batches import join_sentences
from largemodels.pretraining.encoders import build_encoder
from largemodels.pretraining.masked_lm import MaskedBatches, Masking
from largemodels.pretraining.tokenization import train_tokenizer

NOUNS = ["array", "matrix", "vector", "index", "shape", "value", "axis", "tensor", "frame", "column"]
VERBS = ["returns", "holds", "takes", "makes", "sorts", "splits", "joins", "reads"]


def corpus(documents=60, seed=0):
    """Documents of one to six sentences, in two libraries, with the columns of a corpus."""
    draw = random.Random(seed)
    rows = []
    for number in range(documents):
        library = ("alpha", "beta")[number % 2]
        for position in range(draw.randint(1, 6)):
            words = [f"the {draw.choice(NOUNS)} {draw.choice(VERBS)} a {draw.choice(NOUNS)}"] * draw.randint(1, 3)
            rows.append((" and ".join(words) + f" {number} .", library, f"{library}:{number}", position))
    return pd.DataFrame(rows, columns=["sentence", "library", "document", "position"])


@functools.cache
def tokenizer():
    return train_tokenizer(corpus()["sentence"], 120)


def encoder(architecture="modern", **options):
    """A masked language model with random weights, small enough to learn in seconds."""
    sizes = {"hidden_size": 32, "num_layers": 1, "num_heads": 2, "max_length": 64}
    return build_encoder(architecture, tokenizer(), **sizes | options)


def text(**options):
    """The documents as sequences of at most 32 tokens."""
    return join_sentences(corpus(**options), tokenizer(), 32)


def masked_batch(batch_tokens=256):
    """The first batch of the documents, with 30% of the tokens hidden."""
    return MaskedBatches(text(), tokenizer(), Masking(0.3), batch_tokens=batch_tokens, seed=0)[0]


def examples(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Texts of nouns, of different lengths; those that hold the first noun are of class 0."""
    generator = np.random.default_rng(seed)
    texts = []
    for number in range(n):
        words = list(generator.choice(NOUNS[1:], generator.integers(2, 9)))
        if number % 2 == 0:
            words[generator.integers(len(words))] = NOUNS[0]
        texts.append(" ".join(words))
    return pd.DataFrame({"text": texts, "label": np.arange(n) % 2})
