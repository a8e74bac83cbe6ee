"""Made-up documents and a tokenizer that knows their words, for the tests of pretraining."""

import functools
import random

import pandas as pd

from largemodels.tokenization import train_tokenizer

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
