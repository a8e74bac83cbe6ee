"""How fast tokens are generated: the workbench's decoder and loop beside `transformers.generate`, on the same weights.

    python benchmarks/generation.py
    python benchmarks/generation.py --quick
    python benchmarks/generation.py --model pydocs-gpt

ours          `generate` with `Decoder`
our loop      `generate` with the network of transformers
transformers  `model.generate` of the same network
no cache      ours, every text read again at each step
draft         `speculate`: the first quarter of the network's own blocks, at least one, drafts for all of them

All draw from the whole distribution, take turns, a text each, and are compared round by round. At batch 1 a token needs
every weight once, and the cache so far: their bytes over its time, as a share of what a copy moves in the same run, is
how close generation comes to the memory's limit. A network that fits the processor's own caches can pass it. Without
`--model` weights are random: a small network, of the size that the book ships, and a larger one that no cache holds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import transformers
from transformers import LlamaForCausalLM, PreTrainedModel

from largemodels.base.errors import InputError
from largemodels.generation.cache import cache_bytes
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.sampling import Sampling, generate
from largemodels.generation.speculative import first_blocks, speculate
from largemodels.models.cost import time_calls
from largemodels.models.loading import load_causal_lm

SHAPES = {
    "small": DecoderShape(2048, 192, 3, 4, 2, 512, 256),
    "large": DecoderShape(4096, 768, 8, 12, 4, 2048, 256),
}
COPIED = 2**27  # bytes, more than a processor's caches


def bandwidth() -> float:
    """Bytes a second that a copy reads and writes, the best of some."""
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    [seconds] = time_calls({"copy": lambda: target.copy_(source)}, 5).values()
    return 2 * COPIED / seconds.min()


def of_transformers(network: PreTrainedModel, prompts: list[list[int]], new: int) -> None:
    """What everybody calls: `generate`, drawing from the whole distribution, with no end."""
    ids = torch.tensor(prompts)
    options = {"do_sample": True, "top_k": 0, "top_p": 1.0, "pad_token_id": 0, "eos_token_id": None}
    network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, **options)


def compare(calls: dict[str, Callable[[], object]], rounds: int, tokens: int, against: str) -> dict[str, float]:
    """Print each contender's speed and the ratio to one of them, round by round; its median seconds a token."""
    seconds = time_calls(calls, rounds)
    for name, each in seconds.items():
        ratios = sorted(seconds[against] / each)
        print(f"  {name:13}{tokens / statistics.median(each):8,.0f} tokens/s", end="")
        print("" if name == against else f", {statistics.median(ratios):.2f} times the speed of {against}", end="")
        print("" if name == against else f" ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    return {name: statistics.median(each) / tokens for name, each in seconds.items()}


def measure(name: str, model: Decoder, network: PreTrainedModel, chosen: argparse.Namespace) -> None:
    shape, new, sampling = model.shape, chosen.tokens, Sampling()
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    print(f"{name}: {weights / 4e6:.1f} million weights, {shape.num_layers} blocks, {shape.width} wide")
    prompt = torch.randint(shape.vocabulary_size, (chosen.prompt,), generator=torch.Generator().manual_seed(0)).tolist()
    for batch in chosen.batch:
        prompts = [prompt] * batch
        calls = {
            "transformers": lambda prompts=prompts: of_transformers(network, prompts, new),
            "our loop": lambda prompts=prompts: generate(network, prompts, new, sampling=sampling),
            "ours": lambda prompts=prompts: generate(model, prompts, new, sampling=sampling),
        }
        print(f" batch {batch}, {chosen.prompt} tokens of prompt and {new} new ones")
        spent = compare(calls, chosen.rounds, new * batch, "transformers")
        if batch == 1:
            cached = cache_bytes(
                chosen.prompt + new // 2, shape.num_layers, shape.key_value_heads, shape.head_dim, number_bytes=4
            )
            limit, moved = bandwidth(), weights + cached  # the tied embedding is read once, as the output's matrix
            print(f"  {moved / 1e6:.1f} MB a token; a copy moves {limit / 1e9:.1f} GB/s;", end=" ")
            print(", ".join(f"{each} {moved / spent[each] / limit:.2f} of that" for each in spent))
    draft, seeds = first_blocks(model, max(1, shape.num_layers // 4)), iter(range(10**6))
    found = []

    def drafted() -> None:
        found.append(speculate(model, draft, prompt, new, ahead=chosen.ahead, sampling=sampling, seed=next(seeds)))

    calls = {
        "ours": lambda: generate(model, [prompt], new, sampling=sampling),
        "no cache": lambda: generate(model, [prompt], new, sampling=sampling, use_cache=False),
        "draft": drafted,
    }
    print(f" batch 1, {chosen.prompt} tokens of prompt and {new} new ones")
    compare(calls, chosen.rounds, new, "ours")
    accepted, judged, steps = (sum(getattr(each, name) for each in found) for name in ("accepted", "judged", "steps"))
    print(f"  {accepted}/{judged} = {accepted / judged:.2f} of the judged tokens accepted,", end=" ")
    print(f"{1 + accepted / steps:.2f} tokens a step of the large network, {chosen.ahead} drafted at a time")


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}\n")


def options(parser: Parser) -> argparse.Namespace:
    parser.add_argument("--model", help="a Llama that `Decoder` can equal: shipped name, folder or Hub id")
    parser.add_argument("--tokens", type=int, default=64, help="new ones of a text (%(default)s)")
    parser.add_argument("--prompt", type=int, default=32, help="tokens of the prompt (%(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="texts at a time (1 16)")
    parser.add_argument("--ahead", type=int, default=3, help="tokens that are drafted at a time (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="that count, after one that warms up (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="the small network, 16 tokens and two rounds: a trial")
    chosen = parser.parse_args()
    for name in ("tokens", "prompt", "batch", "ahead", "rounds"):
        value = getattr(chosen, name)
        for one in value if isinstance(value, list) else [value]:
            if one < 1:
                parser.error(f"--{name}: {one} is not at least 1")
    if chosen.quick:
        chosen.tokens, chosen.rounds = min(chosen.tokens, 16), min(chosen.rounds, 2)
    return chosen


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = options(parser)
    transformers.logging.set_verbosity_error()
    start = time.perf_counter()
    print(f"{torch.get_num_threads()} threads, float32")
    try:
        if chosen.model is not None:
            network = load_causal_lm(chosen.model)
            if not isinstance(network, LlamaForCausalLM):
                raise InputError(f"--model: {chosen.model} is a {network.config.model_type}, and not a Llama")
            measure(chosen.model, Decoder.from_transformers(network), network, chosen)
        for name in [] if chosen.model else ["small"] if chosen.quick else SHAPES:
            model = Decoder(SHAPES[name], seed=0).eval()
            measure(name, model, model.to_transformers().eval(), chosen)
    except InputError as error:
        parser.error(str(error))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
