"""How fast a smaller classifier answers, and what it loses: ratios to the float32 `pipeline`, and of matrix products.

    python benchmarks/compression.py
    python benchmarks/compression.py --quick
    python benchmarks/compression.py --model FOLDER --dataset nyu-mll/glue:sst2

pipeline      `transformers.pipeline` in float32: texts as they come, each batch padded to its longest
by length     the same network; texts of similar length together, as `classifiers.predict` answers
8-bit weights the same with `QuantizedLinear`: smaller, and no faster
int8          products of integers by PyTorch, texts by length; with torchao and onnxruntime where they are installed,
              and torchao's layers of rounded weights, which multiply floats
one scale     the same with one scale for each matrix, as PyTorch has it by default, in place of one for each output
student       two thirds of the layers, which have learnt from the answers of the whole to `--unlabelled` texts
student int8  products of integers in the student

All answer the same texts in turn, tokenization included, and are compared round by round. The goal of the workbench is
three times the pipeline's speed with a paired loss below half a point. Without `--model`, the book's own encoder is
fine-tuned for it; the texts of the student may be those that a given model was trained on, and their labels are not
shown to it. Products of matrices come first: of floats, of integers that are there already, of floats that are
converted, and element by element, which is no matrix product.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import transformers
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, pipeline

from largemodels.base.errors import InputError
from largemodels.compression.backends import EXTRAS, check_installed, int8, matrix_products, torchao_weights
from largemodels.compression.distillation import distil, student_of
from largemodels.compression.measuring import file_bytes, judge
from largemodels.compression.quantization import quantize_linear_layers
from largemodels.data import tasks
from largemodels.models.classifiers import fine_tune, predict, recipe_for
from largemodels.models.cost import time_calls
from largemodels.models.loading import check_fit, head_in, load_classifier, load_tokenizer, longest_text
from largemodels.models.trainable import blocks_of

PRODUCTS = [(32, 256, 256), (640, 256, 768), (640, 768, 768), (640, 768, 3072), (4096, 768, 3072)]


def compare_products(rounds: int, sizes: list[tuple[int, int, int]]) -> None:
    print("matrix products: times the speed of float32, median and range of the rounds")
    for tokens, inputs, outputs in sizes:
        seconds = time_calls(matrix_products(tokens, inputs, outputs), rounds)
        print(f"  {tokens} × {inputs} by {inputs} × {outputs}:", end=" ")
        print(f"float32 {1e3 * statistics.median(seconds['float32']):.2f} ms;", end=" ")
        print("; ".join(f"{name} {ratio(seconds['float32'] / each)}" for name, each in list(seconds.items())[1:]))


def ratio(ratios: np.ndarray) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def networks(model: PreTrainedModel, student: PreTrainedModel | None) -> dict[str, nn.Module]:
    """The contenders that answer by length, by name."""
    made: dict[str, nn.Module] = {"by length": model}
    made["8-bit weights"] = quantize_linear_layers(copy.deepcopy(model), 8)
    made["int8"] = int8(model)
    made["one scale"] = int8(model, per_channel=False)
    if student is not None:
        made |= {"student": student, "student int8": int8(student)}
    for backend in EXTRAS:
        try:
            check_installed(backend)
        except InputError as missing:
            print(f"left out: {missing}")
        else:
            made[backend] = int8(model, backend)
            if backend == "torchao":
                made |= {f"torchao, {bits} bits": torchao_weights(model, bits, 32) for bits in (8, 4)}
    return made


def by_pipeline(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str], length: int, batch: int
) -> Callable[[], np.ndarray]:
    """A call that answers by the pipeline: the log-probabilities, `(texts, classes)`."""
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    options = {"batch_size": batch, "truncation": True, "max_length": length, "top_k": None}

    def call() -> np.ndarray:
        places = model.config.label2id
        rows = []
        for scores in classify(texts, **options):
            rows.append([0.0] * len(places))
            for each in scores:
                rows[-1][places[each["label"]]] = each["score"]
        return np.log(np.maximum(rows, 1e-30))

    return call


def answer(
    made: dict[str, nn.Module], tokenizer: PreTrainedTokenizerBase, asked: pd.DataFrame, chosen, length: int
) -> None:
    """Time and judge all contenders; "by length" is the whole network."""
    model = made["by length"]
    calls = {"pipeline": by_pipeline(model, tokenizer, asked["text"].tolist(), length, chosen.batch)}
    for name, network in made.items():
        calls[name] = lambda network=network: predict(network, tokenizer, asked, max_length=length)
    answers = {name: call() for name, call in calls.items()}
    gap = np.abs(answers["pipeline"] - answers["by length"]).max()
    print(f"pipeline and by length differ by at most {gap:.1e} in a log-probability")
    seconds = time_calls(calls, chosen.rounds)
    for name, each in seconds.items():
        judged = judge(answers[name], answers["pipeline"], asked["label"], asked.get("document"))
        print(f"  {name:15}{len(asked) / statistics.median(each):8,.0f} texts/s", end="")
        if name != "pipeline":
            print(f", {ratio(seconds['pipeline'] / each)} times the pipeline;", end=" ")
            value, low, high = judged["gain"]
            print(f"{file_bytes(made[name]) / 1e6:.1f} MB, accuracy {value:+.4f} ({low:+.4f} to {high:+.4f}),", end=" ")
            print(f"agreement {judged['agreement'][0]:.3f}")
        else:
            print(f"; accuracy {judged['accuracy'][0]:.4f}")


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}\n")


def options(parser: Parser) -> argparse.Namespace:
    parser.add_argument("--model", help="a trained classifier: a folder or Hub id; else one is fine-tuned")
    parser.add_argument("--dataset", default="pydocs-sections", help="labelled texts: shipped name, file or Hub id")
    parser.add_argument(
        "--texts", type=int, default=800, help="that are answered (%(default)s; all if there are fewer)"
    )
    parser.add_argument("--labelled", type=int, default=1000, help="texts that the book's encoder learns from (1000)")
    parser.add_argument(
        "--unlabelled", type=int, default=30_000, help="texts that the student reads, at most (%(default)s)"
    )
    parser.add_argument("--batch", type=int, default=32, help="texts in a batch of the pipeline (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="that count, after one that warms up (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="100 texts of each kind and two rounds: a trial")
    chosen = parser.parse_args()
    for name in ("texts", "labelled", "unlabelled", "batch", "rounds"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name}: {getattr(chosen, name)} is not at least 1")
    if chosen.quick:
        chosen.rounds = 2
        for name in ("texts", "labelled", "unlabelled"):
            setattr(chosen, name, min(getattr(chosen, name), 100))
    return chosen


def taught(
    chosen: argparse.Namespace,
    task: tasks.Task,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    length: int,
) -> PreTrainedModel | None:
    """A student with two thirds of the layers; none where the model has one layer only."""
    depth = len(blocks_of(model))
    kept = max(1, round(2 * depth / 3))
    if kept == depth:
        return None
    train = task.frames["train"]
    shown = train.sample(min(chosen.unlabelled, len(train)), random_state=1).drop(columns="label")
    student = student_of(model, [round(place * depth / kept) for place in range(kept)])
    rate = 1e-4 if chosen.model else 1e-3  # the book's encoder is narrow, and learns at ten times the usual rate
    recipe = recipe_for(tokenizer, shown, 1, max_length=length, learning_rate=rate)
    print(f"a student with {kept} of {depth} layers reads {len(shown):,} texts in {recipe.steps:,} steps …", flush=True)
    distil(student, model, tokenizer, shown, recipe, max_length=length, soft=1.0, hidden=1.0)
    return student.eval()


def classifier(chosen: argparse.Namespace, task: tasks.Task) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, int]:
    """The classifier, its tokenizer and the longest text; refused if its labels are not those of the data."""
    name = chosen.model or "pydocs-small"
    tokenizer = load_tokenizer(name)
    if chosen.model and head_in(name, task.labels).order is None:
        raise InputError(f"--model: {name} is no classifier for {', '.join(task.labels)}; give one, or leave it out")
    model = load_classifier(name, task.labels, seed=0)
    check_fit(name, tokenizer, model)
    length = min(128, longest_text(tokenizer, model))
    if not chosen.model:
        train = task.frames["train"]
        drawn = train.sample(min(chosen.labelled, len(train)), random_state=0)
        recipe = recipe_for(tokenizer, drawn, 3, max_length=length, learning_rate=1e-3)
        fine_tune(model, tokenizer, drawn, recipe, max_length=length)
    return model.to("cpu").eval(), tokenizer, length


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = options(parser)
    transformers.logging.set_verbosity_error()
    start = time.perf_counter()
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    compare_products(10 * chosen.rounds, PRODUCTS[:2] if chosen.quick else PRODUCTS)
    try:
        task = tasks.load(chosen.dataset)
        model, tokenizer, length = classifier(chosen, task)
        whole = task.frames[task.evaluation_split]
        asked = whole.sample(min(chosen.texts, len(whole)), random_state=0)
        if "text_pair" in asked:
            raise InputError(f"--dataset: {chosen.dataset} has pairs of texts, and the pipeline is given single ones")
        print(f"{chosen.model or 'pydocs-small, fine-tuned'}, {len(asked)} texts of {chosen.dataset}")
        student = taught(chosen, task, model, tokenizer, length)
        answer(networks(model, student), tokenizer, asked, chosen, length)
    except InputError as error:
        parser.error(str(error))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
