"""Asking a causal model by a prompt: examples in the text before the question, and the answer with the least loss.

No weight changes. A model that was never trained on the task is shown a few examples of it ("shots": Brown et al.
2020), and its answer is that candidate which it finds the likeliest continuation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
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
    """Sentences of each section, as many of one as of another: question (its first words) and answer (the section).

    Args:
        sentences: as `largemodels.data.corpora.sentences` gives them.
        labels: the sections.
        each: sentences of each; all, where there are fewer.
        words: of a sentence at most.
        seed: of the draw.
    """
    parts = []
    for label in labels:
        found = sentences.loc[sentences["section"] == label, "sentence"]
        drawn = found.sample(min(each, len(found)), random_state=seed)
        cut = drawn.map(lambda sentence: " ".join(sentence.split()[:words]))
        parts.append(pd.DataFrame({"question": cut, "answer": label}))
    return pd.concat(parts, ignore_index=True)


@torch.no_grad()
def answer_losses(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, prompt: str, answers: Sequence[str]
) -> np.ndarray:
    """−log p of each answer after the prompt and a space, summed over its tokens, in nats, `(answers,)`.

    The prompt is read once, after an end-of-text token as texts begin; its keys and values serve all answers. The model
    is left in evaluation mode.

    Raises:
        InputError: if there is nothing to answer or to choose from.
    """
    if not prompt or not answers or not all(answers):
        raise InputError(f"prompt: {prompt!r} with the answers {list(answers)}; give a text, and answers that are one")
    model.eval()

    def ids(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    before = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    asked = model(torch.tensor([[*before, *ids(prompt)]], device=model.device), use_cache=True)
    spelt = [np.array(ids(f" {answer}")) for answer in answers]
    batch = {name: tensor.to(model.device) for name, tensor in pad(spelt, 0).items()}  # (answers, longest) each
    tokens, known = batch["input_ids"], batch["attention_mask"]
    logits = asked.logits[:, -1:].expand(len(answers), -1, -1)  # of each answer's first token
    if tokens.shape[1] > 1:
        cache = asked.past_key_values
        cache.batch_select_indices(torch.zeros(len(answers), dtype=torch.long, device=model.device))
        read = known.new_ones(len(answers), asked.logits.shape[1])  # (answers, prompt)
        mask = torch.cat([read, known[:, :-1]], 1)
        more = model(tokens[:, :-1], attention_mask=mask, past_key_values=cache).logits
        logits = torch.cat([logits, more], 1)  # (answers, longest, vocabulary)
    labels = tokens.masked_fill(known == 0, IGNORED)
    losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return losses.double().sum(1).cpu().numpy()


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
    choices: Sequence[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The model's answers after so many examples from a pool: one row a question, with answer and right.

    Args:
        questions: question and answer; and choices, a list of candidates, where they differ between the questions.
        pool: question and answer of the examples; for every question others are drawn, the same for the same seed.
        pattern: see `few_shot_prompt`.
        shots: examples before each question.
        shuffled: give the examples of a prompt random answers of `choices` instead of their own: what remains is the
            form of the task, and which words it is about (Min et al. 2022).
        choices: the candidates of every question, if the questions have none.
        seed: of the draws. The examples of a question are the same with and without `shuffled`, and the first of them
            are those of fewer shots.

    Raises:
        InputError: for more shots than the pool has examples.
    """
    if shots > len(pool):
        raise InputError(f"shots: {shots} are more than the {len(pool)} examples of the pool")
    rows = []
    for place, row in enumerate(questions.to_dict("records")):
        random = np.random.default_rng((seed, place))
        order = random.permutation(len(pool))[:shots]
        shown = [(pool["question"].iloc[i], pool["answer"].iloc[i]) for i in order]
        candidates = row["choices"] if choices is None else list(choices)
        if shuffled:
            shown = [(asked, str(random.choice(candidates))) for asked, _ in shown]
        losses = answer_losses(model, tokenizer, few_shot_prompt(shown, row["question"], pattern), candidates)
        answer = candidates[int(losses.argmin())]
        rows.append({"answer": answer, "right": answer == row["answer"]})
    return pd.DataFrame(rows, columns=["answer", "right"])
