"""How fast an encoder is pretrained: the workbench's recipe beside the plain one of `transformers`, on one network.

Run as `python benchmarks/pretraining.py`. Plain is what a tutorial has: every sequence padded to the model's longest,
`DataCollatorForLanguageModeling`, logits for all positions. Both train by `Trainer` and take turns, a round of steps
each, with matrix products timed in between. Operations count where they are useful: not for padding, and for the
vocabulary at masked positions only.
"""

import argparse
import statistics
import tempfile
import time

import torch
from peak import peak
from transformers import (
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    ModernBertForMaskedLM,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from largemodels.data import corpora
from largemodels.models.batches import join_sentences
from largemodels.models.losses import IGNORED
from largemodels.pretraining.encoders import build_encoder, matrix_parameters
from largemodels.pretraining.masked_lm import MaskedBatches, Masking
from largemodels.pretraining.tokenization import train_tokenizer
from largemodels.pretraining.train import PretrainingRecipe, pretrain

RATE = 0.3
MAX_LENGTH = 128
PLAIN = {"modern": ModernBertForMaskedLM, "bert": BertForMaskedLM}


def ours(model, tokenizer, sequences, recipe):
    """Seconds, useful operations and tokens of a short training by the workbench."""
    batches = MaskedBatches(
        sequences, tokenizer, Masking(RATE), batch_tokens=recipe.batch_tokens, seed=recipe.seed, batches=recipe.steps
    )
    work = [useful(model, batches[i]) for i in range(len(batches))]
    start = time.perf_counter()
    pretrain(model, tokenizer, sequences, recipe)
    return time.perf_counter() - start, sum(flops for flops, _ in work), sum(tokens for _, tokens in work)


def plain(model, tokenizer, sequences, recipe):
    """The same by the plain recipe, with as many padded tokens in a step."""
    rows = recipe.batch_tokens // MAX_LENGTH
    padded = tokenizer.pad({"input_ids": sequences.input_ids}, padding="max_length", max_length=MAX_LENGTH)
    examples = [
        {"input_ids": ids, "attention_mask": mask}
        for ids, mask in zip(padded["input_ids"], padded["attention_mask"], strict=True)
    ]
    seen = []
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=RATE)

    def collate(items):
        seen.append(collator(items))
        return seen[-1]

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                max_steps=recipe.steps,
                per_device_train_batch_size=rows,
                learning_rate=recipe.learning_rate,
                bf16=recipe.precision == "bfloat16",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                seed=recipe.seed,
            ),
            train_dataset=examples,
            data_collator=collate,
        )
        trainer.remove_callback(PrinterCallback)
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    work = [useful(model, batch) for batch in seen[: recipe.steps]]
    return seconds, sum(flops for flops, _ in work), sum(tokens for _, tokens in work)


def useful(model, batch) -> tuple[float, int]:
    """Useful floating-point operations of a training step, forward and twice as much backward, and its tokens.

    6 · body · tokens + 6 · head · masked + 12 · layers · hidden_size · Σ length², where body and head are
    `matrix_parameters`, and a multiply-add counts as two. The last term is attention's two matrix products.
    """
    lengths, masked = batch["attention_mask"].sum(1).double(), int((batch["labels"] != IGNORED).sum())
    body, head = matrix_parameters(model)
    attention = 12 * model.config.num_hidden_layers * model.config.hidden_size * float((lengths**2).sum())
    return 6 * body * float(lengths.sum()) + 6 * head * masked + attention, int(lengths.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", choices=list(PLAIN), default="modern")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40, help="of a round")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    options = parser.parse_args()

    text = corpora.pretraining_sentences()
    tokenizer = train_tokenizer(text["sentence"], 4096, max_length=MAX_LENGTH)
    sequences = join_sentences(text, tokenizer, MAX_LENGTH)
    model = build_encoder(
        options.architecture, tokenizer, hidden_size=256, num_layers=4, num_heads=4, max_length=MAX_LENGTH
    )
    config = type(model.config)(**{**model.config.to_dict(), "sparse_prediction": False})
    networks = {"ours": model, "plain": PLAIN[options.architecture](config)}
    train = {"ours": ours, "plain": plain}
    results = {name: [] for name in networks}
    peaks = []
    for number in range(options.rounds + 1):
        peaks.append(peak())
        for name, network in networks.items():
            recipe = PretrainingRecipe(
                steps=options.steps,
                batch_tokens=options.batch_tokens,
                masking_rate=RATE,
                precision=options.precision,
                seed=number,
                learning_rate=1e-4,
            )
            result = train[name](network, tokenizer, sequences, recipe)
            if number:  # the first round warms up
                results[name].append(result)
    best = max(peaks)
    print(
        f"{options.architecture}, {options.precision}, {torch.get_num_threads()} threads; matrix products (float32): "
    )
    print(f"best {best / 1e9:.0f}, median {statistics.median(peaks) / 1e9:.0f} GFLOP/s")
    for name, rounds in results.items():
        speeds = [flops / seconds for seconds, flops, _ in rounds]
        tokens = statistics.median(count / seconds for seconds, _, count in rounds)
        speed, share = statistics.median(speeds) / 1e9, statistics.median(speeds) / best
        print(f"{name:6} median {tokens:7,.0f} tokens/s, {speed:5.0f} useful GFLOP/s, {share:.2f} of the peak", end="")
        print(f" (best round {max(speeds) / best:.2f})")


if __name__ == "__main__":
    main()
