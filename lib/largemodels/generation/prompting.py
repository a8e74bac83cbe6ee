"""Asking a causal model by a prompt: examples in the text before the question, and the answer with the least loss.

No weight changes. A model that was never trained on the task is shown a few examples of it ("shots": Brown et al.
2020), and its answer is that candidate which it finds the likeliest continuation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.generation.reading import Reader, context_length, encode_prompt, padded_left, refuse_unreadable
from largemodels.models.batches import pad
from largemodels.models.losses import IGNORED

_REGULAR = (
    "array element value function parameter object row column label sample feature model layer token batch weight "
    "gradient tensor kernel filter window signal image pixel colour line point marker figure plot vector block "
    "segment cluster tree node edge graph estimator score metric error warning option argument method attribute module "
    "package file path string number integer float dimension shape view"
)
PLURALS = {word: f"{word}s" for word in _REGULAR.split()} | {
    "axis": "axes",
    "matrix": "matrices",
    "index": "indices",
    "vertex": "vertices",
    "basis": "bases",
    "class": "classes",
    "query": "queries",
    "entry": "entries",
    "category": "categories",
    "frequency": "frequencies",
}
"""Nouns of the documentation and their plurals."""
_AT_ONCE = 16  # prompts in a batch


def noun_questions(task: Literal["copy", "plural"], nouns: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """A question for each noun of `PLURALS`: question, answer and choices, of which one in four is right.

    To choose from are the noun, its plural, and another noun in both forms, in random order. For "copy" the answer is
    the noun itself, for "plural" its plural.

    Examples:
        >>> noun_questions("plural", ["axis", "row"]).iloc[0].to_dict()
        {'question': 'axis', 'answer': 'axes', 'choices': ['row', 'axis', 'axes', 'rows']}
    """
    random, rows = np.random.default_rng(seed), []
    for noun in nouns:
        other = str(random.choice([each for each in nouns if each != noun]))
        choices = [str(each) for each in random.permutation([noun, PLURALS[noun], other, PLURALS[other]])]
        rows.append({"question": noun, "answer": noun if task == "copy" else PLURALS[noun], "choices": choices})
    return pd.DataFrame(rows, columns=["question", "answer", "choices"])


def section_questions(
    sentences: pd.DataFrame, labels: Sequence[str], each: int, *, words: int = 12, seed: int = 0
) -> pd.DataFrame:
    """Sentences of each section, as many of one as of another: question, answer and choices.

    The question is the first words of a sentence, the answer its section, and to choose from are all the labels. No two
    are of one document, so that the questions are independent.

    Args:
        sentences: as `largemodels.data.corpora.sentences` gives them.
        labels: the sections.
        each: sentences of each; all, where there are fewer.
        words: of a sentence at most.
        seed: of the draw.
    """
    left, parts = sentences.sample(frac=1, random_state=seed), []
    for label in labels:
        drawn = left[left["section"] == label].drop_duplicates("document")[:each]
        left = left[~left["document"].isin(drawn["document"])]
        cut = drawn["sentence"].map(lambda sentence: " ".join(sentence.split()[:words]))
        parts.append(pd.DataFrame({"question": cut, "answer": label}))
    return pd.concat(parts, ignore_index=True).assign(choices=lambda rows: [list(labels)] * len(rows))


def frequent_answers(questions: pd.DataFrame, texts: Iterable[str]) -> pd.DataFrame:
    """The choice that texts have most often, whatever is asked: one row a question, with answer and right.

    Args:
        questions: question, answer and choices; of choices that are equally frequent the first is taken.
        texts: in which the choices are counted, as words between spaces.

    Examples:
        >>> questions = noun_questions("plural", ["axis", "row"])
        >>> frequent_answers(questions, ["all rows of an axis", "the rows"])["answer"].tolist()
        ['rows', 'rows']
    """
    counts = Counter(word for text in texts for word in text.split())
    answers = [max(choices, key=counts.__getitem__) for choices in questions["choices"]]
    return pd.DataFrame({"answer": answers, "right": np.array(answers, object) == questions["answer"].to_numpy()})


def answer_losses(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    """−log p of each answer after its prompt and a space, summed over its tokens, in nats: `(answers,)` each.

    A prompt is read once, as texts begin (`reading.begun`), and serves all its answers. The tokens of an answer are
    what the tokens of the whole text have more than those of the prompt. The model is left in evaluation mode.

    Args:
        model: a causal model.
        tokenizer: its tokenizer.
        prompts: texts.
        answers: the candidates of each.

    Raises:
        InputError: if there is nothing to answer or to choose from, the tokenizer cannot spell it, the model is no
            causal one, or a prompt with one of its answers is longer than the context.
    """
    if not prompts or len(prompts) != len(answers) or not all(each and all(each) for each in answers):
        raise InputError(f"answers: {list(answers)} are not one or more for each of {len(prompts)} prompts; give some")
    read = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    refuse_unreadable(model, [ids[:1] for ids in read], 1)
    spelt = [
        [np.array(encode_prompt(tokenizer, f"{prompt} {answer}")[len(ids) :]) for answer in each]
        for prompt, ids, each in zip(prompts, read, answers, strict=True)
    ]
    limit = context_length(model)
    for ids, each in zip(read, spelt, strict=True):
        if limit is not None and len(ids) + max(map(len, each)) > limit:
            raise InputError(
                f"prompt: its {len(ids)} tokens and the {max(map(len, each))} of an answer are more than the {limit} "
                "that the model reads; shorten it, or show fewer examples"
            )
    model.eval()
    losses = []
    for first in range(0, len(prompts), _AT_ONCE):
        losses += _losses(model, read[first : first + _AT_ONCE], spelt[first : first + _AT_ONCE])
    return losses


@torch.no_grad()
def _losses(model: nn.Module, read: list[list[int]], answers: list[list[np.ndarray]]) -> list[np.ndarray]:
    """The losses of the answers to each prompt of a batch."""
    tokens, mask = (each.to(model.device) for each in padded_left(read))
    reading = Reader(model, mask)
    numbers = torch.tensor([len(each) for each in answers])
    prompt = torch.arange(len(read)).repeat_interleave(numbers).to(model.device)  # of each answer, (rows,)
    logits = reading.read(tokens)[prompt, -1:]  # of each answer's first token, (rows, 1, vocabulary)
    batch = pad([ids for each in answers for ids in each], 0)  # (rows, longest) each
    spelt = batch["input_ids"].to(model.device)
    if spelt.shape[1] > 1:
        reading.select(prompt)
        logits = torch.cat([logits, reading.read(spelt[:, :-1])], 1)  # (rows, longest, vocabulary)
    labels = spelt.masked_fill(batch["attention_mask"].to(model.device) == 0, IGNORED)
    losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return np.split(losses.double().sum(1).cpu().numpy(), numbers.cumsum(0)[:-1])


def few_shot_prompt(shots: Sequence[tuple[str, str]], question: str, pattern: str) -> str:
    """The shots and then the question, each on the pattern, which has a place for `{}` and ends before the answer.

    Examples:
        >>> few_shot_prompt([("array", "arrays")], "matrix", "singular: {}, plural:")
        'singular: array, plural: arrays. singular: matrix, plural:'
    """
    if pattern.count("{}") != 1:
        raise ValueError(f"pattern: {pattern!r} has not one place for the question, {{}}")
    shown = [f"{pattern.replace('{}', asked)} {answer}." for asked, answer in shots]
    return " ".join([*shown, pattern.replace("{}", question)])


def few_shot_answers(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    questions: pd.DataFrame,
    pool: pd.DataFrame,
    pattern: str,
    *,
    shots: int,
    shuffled: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """The model's answers after so many examples from a pool: one row a question, with answer and right.

    Args:
        questions: question, answer and choices.
        pool: question and answer of the examples; for every question others are drawn, the same for the same seed, and
            never the question itself.
        pattern: see `few_shot_prompt`.
        shots: examples before each question.
        shuffled: give each example of a prompt the answer of the next: what remains is the form of the task, and which
            words it is about (Min et al. 2022).
        seed: of the draws. The examples of a question are the same with and without `shuffled`, and the first of them
            are those of fewer shots.

    Raises:
        InputError: for more shots than the pool has examples, or a prompt that `answer_losses` refuses.
    """
    prompts = []
    for place, row in enumerate(questions.to_dict("records")):
        others = pool[pool["question"] != row["question"]]
        drawn = others.iloc[np.random.default_rng((seed, place)).permutation(len(others))[: shots + 1]]
        if len(drawn) < shots + shuffled:
            raise InputError(f"shots: {shots} are more than the {len(others) - shuffled} examples that there are")
        answers = drawn["answer"][1:] if shuffled else drawn["answer"]
        shown = list(zip(drawn["question"][:shots], answers[:shots], strict=True))
        prompts.append(few_shot_prompt(shown, row["question"], pattern))
    candidates = questions["choices"].tolist()
    losses = answer_losses(model, tokenizer, prompts, candidates)
    found = [each[int(loss.argmin())] for each, loss in zip(candidates, losses, strict=True)]
    return pd.DataFrame({"answer": found, "right": np.array(found, object) == questions["answer"].to_numpy()})
