"""How fast a classifier is fine-tuned: the workbench's recipe beside the usual ones, with the same network and texts.

    python benchmarks/fine_tuning.py
    python benchmarks/fine_tuning.py --model bert-base-uncased --dataset nyu-mll/glue:sst2 --accuracy

tutorial  a plain `Trainer`, every text padded to the longest that the model reads, as tutorials have it
pad-128   the same, padded to 128 tokens, as Hugging Face's example script does
dynamic   the same, padded to the longest text of each batch (`DataCollatorWithPadding`)
ours      `classifiers.fine_tune`: texts of similar length together, as many tokens in each batch
bfloat16  the same with matrix products in bfloat16, with `--bfloat16`; worth it where the processor knows them

All train on the processor, all weights, in as many steps an epoch: the budget of tokens is the one with which our
batches hold `--batch-size` texts in the mean. They take turns, a slice of the texts each, with matrix products timed in
between; the time is that from the first batch on. Operations count where they are useful (not for padding), and of
matrix products only.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pandas as pd
import torch
import transformers
from peak import peak
from transformers import (
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from largemodels.base.errors import InputError
from largemodels.data import tasks
from largemodels.models.batches import LabelledBatches, plan_batches
from largemodels.models.classifiers import fine_tune, predict
from largemodels.models.cost import count_flops
from largemodels.models.loading import check_fit, load_classifier, load_tokenizer, longest_text
from largemodels.models.training import Recipe
from largemodels.statistics.comparisons import mcnemar

RECIPES = ("tutorial", "pad-128", "dynamic", "ours")
HALF = "bfloat16"  # what our recipe is called where its products are in it


class Clock(TrainerCallback):
    """Takes the seconds and steps of a training from its first batch on, and of the parts of its steps."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()

    def on_train_begin(self, args, state, control, **kwargs):
        self.parts.clear()
        self.start = time.perf_counter()

    def on_train_end(self, args, state, control, **kwargs):
        self.seconds, self.steps = time.perf_counter() - self.start, state.global_step


@dataclass(frozen=True)
class Bench:
    """What all recipes share."""

    tokenizer: PreTrainedTokenizerBase
    length: int
    batch_size: int
    learning_rate: float


def tokenized(bench: Bench, rows: pd.DataFrame, **options) -> dict[str, list]:
    texts = [rows[name].tolist() for name in ("text", "text_pair") if name in rows]
    return bench.tokenizer(*texts, truncation=True, **{"max_length": bench.length, **options})


def plain(name: str, bench: Bench, model: PreTrainedModel, rows: pd.DataFrame, seed: int) -> Clock:
    """One pass over the rows by `Trainer`, with its defaults; `name` says how texts are padded."""
    padding = {"max_length": bench.length if name == "tutorial" else min(128, bench.length), "padding": "max_length"}
    columns = {**tokenized(bench, rows, **({} if name == "dynamic" else padding)), "label": rows["label"].tolist()}
    examples = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=bench.batch_size,
                learning_rate=bench.learning_rate,
                seed=seed,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=examples,
            data_collator=DataCollatorWithPadding(bench.tokenizer) if name == "dynamic" else default_data_collator,
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return clock


def ours(bench: Bench, model: PreTrainedModel, rows: pd.DataFrame, seed: int, precision: str = "float32") -> Clock:
    """One pass over the rows by the workbench, in as many steps; the clock has the parts of a step."""
    steps, budget = plan(bench, rows)
    recipe = Recipe(steps=steps, batch_tokens=budget, learning_rate=bench.learning_rate, seed=seed, precision=precision)
    clock = Clock()
    with timed_parts(clock.parts, model):
        fine_tune(model, bench.tokenizer, rows, recipe, max_length=bench.length, callbacks=[clock])
    return clock


def plan(bench: Bench, rows: pd.DataFrame) -> tuple[int, int]:
    """Steps in an epoch, and the smallest budget of tokens with which they are as few as with batches by number."""
    lengths = lengths_of(bench, rows)

    def steps(budget: int) -> int:
        return len(plan_batches(lengths, budget, np.random.default_rng(0)))

    wanted = -(-len(rows) // bench.batch_size)
    low, high = int(lengths.max()), int(lengths.max()) * len(rows)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if steps(middle) <= wanted else (middle + 1, high)
    return steps(low), low


def lengths_of(bench: Bench, rows: pd.DataFrame) -> np.ndarray:
    return np.array([len(ids) for ids in tokenized(bench, rows)["input_ids"]])


@contextlib.contextmanager
def timed_parts(parts: Counter, model: PreTrainedModel) -> Iterator[None]:
    """While it lasts, the seconds of each part of a training step are added up."""
    owners = {
        "making the batch": (LabelledBatches, "__getitem__"),
        "forward": (model, "forward"),
        "backward": (torch.Tensor, "backward"),
        "clipping": (torch.nn.utils, "clip_grad_norm_"),
        "optimizer": (torch.optim.AdamW, "step"),
        "zero_grad": (model, "zero_grad"),
    }
    with contextlib.ExitStack() as stack:
        for part, (owner, name) in owners.items():
            stack.enter_context(mock.patch.object(owner, name, timed(getattr(owner, name), parts, part)))
        yield


def timed(call: Callable, parts: Counter, part: str) -> Callable:
    @functools.wraps(call)
    def timing(*arguments, **options):
        start = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            parts[part] += time.perf_counter() - start

    return timing


def useful_flops(bench: Bench, model: PreTrainedModel, rows: pd.DataFrame) -> Callable[[np.ndarray], float]:
    """What gives the operations in the matrix products of training on texts of these lengths, each without padding.

    For one text they are a quadratic in its length, of any family: a pooled head, matrices that every token is
    multiplied by (however often, where layers share them), attention. They are counted forward and backward at three
    lengths, with the attention that is written in matrix products.
    """
    ids = np.concatenate(tokenized(bench, rows.head(8))["input_ids"])
    lengths = [length for length in (4, 8, 16) if length <= min(bench.length, len(ids))]
    model = copy.deepcopy(model).train()
    model.set_attn_implementation("eager")

    def step(length: int) -> None:
        text = torch.tensor(ids[None, :length])
        model(input_ids=text, attention_mask=torch.ones_like(text), labels=torch.tensor([0])).loss.backward()

    counted = [count_flops(functools.partial(step, length)) for length in lengths]
    polynomial = np.polynomial.Polynomial.fit(lengths, counted, len(lengths) - 1)
    return lambda lengths: float(polynomial(lengths).sum())


def measure(
    bench: Bench, model: PreTrainedModel, train: pd.DataFrame, slices: dict[str, int], rounds: int
) -> tuple[pd.DataFrame, list[float]]:
    """Train in turns; a row for each counted turn, and how fast matrix products were in between."""
    flops, rows, peaks = useful_flops(bench, model, train), [], []
    for turn in range(rounds + 1):
        drawn = train.sample(max(slices.values()), random_state=turn)
        for recipe, size in slices.items():
            texts = drawn.head(size if turn else min(size, 2 * bench.batch_size))  # the first round warms up
            peaks.append(peak())
            clock = RUN[recipe](bench, copy.deepcopy(model), texts, turn)
            step = clock.seconds / clock.steps
            parts = {part: seconds / clock.steps for part, seconds in clock.parts.items()}
            rows.append(
                {"turn": turn, "recipe": recipe, "texts": len(texts), "steps": clock.steps}
                | {"speed": len(texts) / clock.seconds, "flops": flops(lengths_of(bench, texts)) / clock.seconds}
                | {"step": step, **parts}
            )
    table = pd.DataFrame(rows)
    return table[table["turn"] > 0].set_index("turn"), peaks


def report(table: pd.DataFrame, peaks: list[float]) -> None:
    """Print what each recipe came to, medians of the rounds, and where the time of a step of ours goes."""
    best, our_turns, recipes = max(peaks), table[table["recipe"] == "ours"], table.groupby("recipe", sort=False)
    print(f"matrix products (float32): best {best / 1e9:.0f}, median {statistics.median(peaks) / 1e9:.0f} GFLOP/s")
    speed, rate = recipes["speed"], recipes["flops"].median()
    columns = {
        "texts/step": recipes["texts"].sum() / recipes["steps"].sum(),
        "sentences/s": speed.median(),
        "lowest": speed.min(),
        "highest": speed.max(),
        "ours is ×": {recipe: (our_turns["speed"] / turns["speed"]).median() for recipe, turns in recipes},
        "useful GFLOP/s": rate / 1e9,
        "of the peak": rate / best,
    }
    print("ours takes as many steps an epoch: its batches hold as many texts in the mean, and as many tokens each")
    print(pd.DataFrame(columns).rename_axis(None).to_string(float_format="{:.3g}".format))
    step, least = our_turns["step"].median(), (our_turns["flops"] * our_turns["step"]).median() / best
    print(f"a step of ours takes {step * 1e3:.1f} ms; at the peak its useful operations would take {least * 1e3:.1f}:")
    parts = our_turns.loc[:, "step":].drop(columns="step")
    parts["Trainer, and rest"] = our_turns["step"] - parts.sum(axis=1)
    for part, seconds in parts.median().items():
        print(f"  {part:18}{seconds * 1e3:7.1f} ms{seconds / step:6.0%}")


def compare_accuracy(bench: Bench, model: PreTrainedModel, task: tasks.Task, recipes: list[str], labelled: int) -> None:
    """Train by each recipe for one epoch of the same texts, and compare what is right, example by example."""
    texts, held_out = task.frames["train"].sample(labelled, random_state=0), task.frames[task.evaluation_split]
    right = {}
    print(f"one epoch of {labelled} texts, then the {len(held_out)} of the {task.evaluation_split} split:")
    for recipe in recipes:
        trained = copy.deepcopy(model)
        clock = RUN[recipe](bench, trained, texts, 0)
        answers = predict(trained, bench.tokenizer, held_out, max_length=bench.length).argmax(1)
        right[recipe] = answers == held_out["label"].to_numpy()
        count = int(right[recipe].sum())
        print(f"{recipe:9}{count}/{len(held_out)} = {count / len(held_out):.3f}", end=" ")
        print(f"after {clock.steps} steps in {clock.seconds:.0f} s")
    for recipe in (name for name in recipes if name != "ours"):
        test = mcnemar(right["ours"], right[recipe])
        print(f"only ours right {test.only_a}, only {recipe} right {test.only_b}: exact McNemar p = {test.p:.2g}")


RUN = {recipe: functools.partial(plain, recipe) for recipe in RECIPES[:-1]}
RUN |= {"ours": ours, HALF: functools.partial(ours, precision=HALF)}


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}\n")


def options(parser: Parser) -> argparse.Namespace:
    parser.add_argument("--model", default="pydocs-small", help="shipped name, folder or Hub id (%(default)s)")
    parser.add_argument("--dataset", default="pydocs-sections", help="shipped name, file, folder or Hub id")
    parser.add_argument("--batch-size", type=int, default=16, help="texts in a step (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=5e-5, help="its peak (%(default)s, Trainer's own)")
    parser.add_argument("--rounds", type=int, default=3, help="that count, after one that warms up (%(default)s)")
    parser.add_argument("--sentences", type=int, nargs=len(RECIPES), default=[64, 256, 1024, 1024], metavar="N",
                        help=f"of a round, for {', '.join(RECIPES)} (64 256 1024 1024)")  # fmt: skip
    parser.add_argument("--bfloat16", action="store_true", help="measure ours with bfloat16 too, on as many sentences")
    parser.add_argument("--accuracy", action="store_true", help="train by all but tutorial for an epoch, and compare")
    parser.add_argument("--labelled", type=int, default=4096, help="texts in that epoch (%(default)s)")
    chosen = parser.parse_args()
    for name in ("batch_size", "learning_rate", "rounds", "sentences", "labelled"):
        value, least = getattr(chosen, name), 0 if name == "learning_rate" else 1
        for one in value if isinstance(value, list) else [value]:
            if not (0 < one < float("inf") and one >= least):
                parser.error(f"--{name.replace('_', '-')}: {one} is not {'at least 1' if least else 'above 0'}")
    return chosen


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = options(parser)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the peak and the times of a step's parts are the processor's
    transformers.logging.set_verbosity_error()
    try:
        tokenizer, task = load_tokenizer(chosen.model), tasks.load(chosen.dataset)
        model = load_classifier(chosen.model, task.labels, seed=0)
        check_fit(chosen.model, tokenizer, model)
        needed, texts = max(*chosen.sentences, chosen.labelled * chosen.accuracy), task.frames["train"]
        if needed > len(texts):
            raise InputError(f"{chosen.dataset}: has {len(texts)} texts to train on, and {needed} are asked for")
        bench = Bench(tokenizer, longest_text(tokenizer, model), chosen.batch_size, chosen.learning_rate)
        slices = dict(zip(RECIPES, chosen.sentences, strict=True))
        print(f"{chosen.model} on {chosen.dataset}, batches of {bench.batch_size}, {torch.get_num_threads()} threads")
        if bench.length <= 128:
            print(f"the model reads {bench.length} tokens at most, so pad-128 is the tutorial's recipe and left out")
            del slices["pad-128"]
        if chosen.bfloat16:
            slices[HALF] = slices["ours"]
        report(*measure(bench, model, texts, slices, chosen.rounds))
        if chosen.accuracy:
            compare_accuracy(bench, model, task, [name for name in slices if name != "tutorial"], chosen.labelled)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
