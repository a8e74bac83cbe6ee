"""Text to text: from the rest of a docstring to its summary line, with a prompted decoder and an encoder–decoder.

The pairs are real: their authors wrote both sides. A decoder reads source and summary as one text, an encoder–decoder
reads the one and writes the other; both are trained on the summary alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from largemodels.attention.blocks import block_parameters
from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder
from largemodels.generation.encoder_decoder import EncoderDecoder
from largemodels.generation.language_model import losses_after
from largemodels.generation.reading import begun
from largemodels.generation.rouge import words
from largemodels.models.batches import LengthBatches, pad
from largemodels.models.losses import IGNORED

LEAST_WORDS = 3  # of a summary: shorter ones are headings, such as "Deprecated." or "See below."
MOST_WORDS = 40  # of a summary: longer ones are lists, or descriptions that lack a summary
AT_ONCE = 64  # sources that are answered together


def summary_pairs(sentences: pd.DataFrame) -> pd.DataFrame:
    """Pairs of a docstring's summary line and the rest of it, in the order of the corpus.

    A document gives a pair if it has one sentence of the section "summary", of three to forty words, and two other
    sentences or more. A summary that stands in its source word for word would be answered by copying; such pairs are
    left out, and `attrs["copied"]` says how many there were.

    Args:
        sentences: as `largemodels.data.corpora.sentences` gives them.

    Returns:
        A table with document, library, split, source (the other sentences, joined by spaces), lead (the first of them)
        and summary.

    Raises:
        InputError: if no document has a summary, as in text that is no documentation.
    """
    is_summary = sentences["section"] == "summary"
    summaries = sentences[is_summary].groupby("document")["sentence"].agg(["size", "first"])
    lengths = summaries["first"].map(lambda summary: len(words(summary)))
    summaries = summaries[(summaries["size"] == 1) & lengths.between(LEAST_WORDS, MOST_WORDS)]
    others = sentences[~is_summary & sentences["document"].isin(summaries.index)].groupby("document", sort=False)
    sources = others.agg(
        library=("library", "first"),
        split=("split", "first"),
        source=("sentence", " ".join),
        lead=("sentence", "first"),
        sentences=("sentence", "size"),
    )
    table = sources[sources["sentences"] >= 2].join(summaries["first"])
    if table.empty:
        raise InputError("sentences: no document has a summary and two other sentences; give the corpus pydocs")
    spelt = (f" {' '.join(words(text))} " for text in table["source"])
    copied = np.array(
        [f" {' '.join(words(summary))} " in source for summary, source in zip(table["first"], spelt, strict=True)]
    )
    table = table[~copied].rename(columns={"first": "summary"}).reset_index()
    table = table[["document", "library", "split", "source", "lead", "summary"]]
    table.attrs["copied"] = int(copied.sum())
    return table


@dataclass(frozen=True)
class EncodedPairs:
    """Pairs as token ids.

    Attributes:
        sources: one int64 array a pair, cut at the end where they are too long.
        summaries: the same, never cut.
        prompts: what a decoder goes on from: the source as texts begin for it, and the end-of-text token.
        end: the end-of-text token, which stands between source and summary, and behind the summary.
    """

    sources: list[np.ndarray]
    summaries: list[np.ndarray]
    prompts: list[list[int]]
    end: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each pair as a decoder reads it, `(pairs,)`."""
        return np.array([len(a) + len(b) + 1 for a, b in zip(self.prompts, self.summaries, strict=True)])


def encode_pairs(
    pairs: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, *, max_source: int, max_length: int
) -> EncodedPairs:
    """The pairs as tokens; of a summary all are kept, and of a source the first `max_source`, if they fit before it.

    Args:
        pairs: source and summary, as `summary_pairs` gives them.
        max_source: tokens of a source, at most.
        max_length: tokens of a pair that the model reads, with the end-of-text tokens.

    Raises:
        InputError: if there are no pairs, the tokenizer has no end-of-text token, or a summary leaves no room.
    """
    if not len(pairs):
        raise InputError("pairs: there are none; give more text")
    if tokenizer.eos_token_id is None:
        raise InputError("tokenizer: has no end-of-text token, which is to stand between a source and its summary")

    def ids(column: str) -> list[np.ndarray]:
        encoded = tokenizer(pairs[column].tolist(), add_special_tokens=False, verbose=False)["input_ids"]
        return [np.array(each, dtype=np.int64) for each in encoded]

    summaries, end = ids("summary"), tokenizer.eos_token_id
    around = len(begun(tokenizer, [])) + 2  # the first token, and the ends of source and summary
    rooms = [max_length - around - len(summary) for summary in summaries]
    if min(rooms) < 1:
        raise InputError(
            f"pairs: a summary of {max(map(len, summaries))} tokens leaves no room for its source in the {max_length} "
            "that the model reads"
        )
    sources = [each[: min(max_source, room)] for each, room in zip(ids("source"), rooms, strict=True)]
    prompts = [[*begun(tokenizer, source.tolist()), end] for source in sources]
    return EncodedPairs(sources, summaries, prompts, end)


class _PairBatches(LengthBatches):
    """Batches of pairs, the same pairs in the same order for the same options, whatever kind of model reads them."""

    def __init__(self, pairs: EncodedPairs, **options: Any) -> None:
        """Plan the batches; `options` are batch_tokens, seed and batches, as for `LengthBatches`."""
        super().__init__(pairs.lengths, **options)
        self.pairs = pairs


class PromptBatches(_PairBatches):
    """Batches for a decoder: source and summary in one text; `labels` are `IGNORED` (−100) but for the summary.

    All are `(batch, length)`. The end-of-text token behind the summary is to be predicted too.
    """

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some pairs; nothing in it is drawn."""
        pairs = self.pairs
        batch = pad([np.array([*pairs.prompts[i], *pairs.summaries[i], pairs.end]) for i in members], pairs.end)
        prompt = torch.tensor([len(pairs.prompts[i]) for i in members])[:, None]  # (batch, 1)
        asked = (torch.arange(batch["input_ids"].shape[1]) >= prompt) & batch["attention_mask"].bool()
        return {**batch, "labels": batch["input_ids"].masked_fill(~asked, IGNORED)}


class SourceTargetBatches(_PairBatches):
    """Batches for an encoder–decoder: `input_ids` and `attention_mask` of the source, `decoder_input_ids`, `labels`.

    With the same options they hold the same pairs as `PromptBatches`, in the same order.
    """

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some pairs; nothing in it is drawn."""
        end = self.pairs.end
        source = pad([self.pairs.sources[i] for i in members], end)
        target = pad([np.array([end, *self.pairs.summaries[i], end]) for i in members], end)
        tokens, known = target["input_ids"], target["attention_mask"].bool()  # (batch, target + 1)
        labels = tokens.masked_fill(~known, IGNORED)[:, 1:]
        return {**source, "decoder_input_ids": tokens[:, :-1], "labels": labels}


def untrained(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """A model of the same shape with weights drawn anew: a `Decoder`, or a causal model of `transformers`."""
    if isinstance(model, Decoder):
        return Decoder(model.shape, seed=seed).to(model.device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(model.config).to(model.device, model.dtype)


def matching_encoder_decoder(model: nn.Module, *, seed: int = 0) -> EncoderDecoder:
    """An encoder–decoder as wide as a decoder, with random weights, and about as many of them.

    Each of its two stacks has half the decoder's blocks, rounded down and at least one. The inner width of their
    feed-forward layers makes the number of weights come out, as nearly as a whole number can; where attention alone has
    more weights, it is 1.

    Args:
        model: `Decoder`, or a causal model of `transformers`.
        seed: of the weights.

    Examples:
        >>> from largemodels.generation.decoder import Decoder, DecoderShape
        >>> shape = DecoderShape(500, width=64, num_layers=2, num_heads=2, key_value_heads=1, inner=176, max_length=32)
        >>> models = Decoder(shape), matching_encoder_decoder(Decoder(shape))
        >>> [sum(parameter.numel() for parameter in model.parameters()) for model in models]
        [124480, 124608]
    """
    if isinstance(model, Decoder):
        embedding, num_layers, num_heads = model.embedding, model.shape.num_layers, model.shape.num_heads
    else:
        config = model.config.get_text_config()
        embedding, num_heads = model.get_input_embeddings(), config.num_attention_heads
        num_layers = config.num_hidden_layers
    vocabulary_size, width = embedding.weight.shape
    num_layers = max(1, num_layers // 2)
    weights = sum(parameter.numel() for parameter in model.parameters())

    def total(inner: int) -> int:
        thin = {"rms": True, "bias": False}
        pair = block_parameters(width, inner, **thin) + block_parameters(width, inner, cross=True, **thin)
        return vocabulary_size * width + num_layers * pair + 2 * width  # and a last normalisation in each stack

    inner = max(1, round((weights - total(0)) / (total(1) - total(0))))
    options = {"width": width, "num_layers": num_layers, "num_heads": num_heads, "inner": inner}
    return EncoderDecoder(vocabulary_size, **options, seed=seed).to(embedding.weight.device)


@torch.no_grad()
def greedy_targets(model: EncoderDecoder, pairs: EncodedPairs, max_new_tokens: int) -> list[list[int]]:
    """The likeliest token after the likeliest, for each source, without the end-of-text token that stops it.

    The sources are encoded once; the decoder reads all that it has written so far anew for every token.
    """
    model.eval()
    found: list[list[int]] = []
    for start in range(0, len(pairs.sources), AT_ONCE):
        batch = pad(pairs.sources[start : start + AT_ONCE], pairs.end)
        mask = batch["attention_mask"].to(model.device)
        memory = model.encode(batch["input_ids"].to(model.device), mask)  # (batch, source, width)
        target = torch.full((len(mask), 1), pairs.end, device=model.device)
        for _ in range(max_new_tokens):
            logits = model(attention_mask=mask, decoder_input_ids=target, encoder_outputs=memory).logits
            target = torch.cat([target, logits[:, -1:].argmax(-1)], 1)  # (batch, written + 1)
            if (target[:, 1:] == pairs.end).any(1).all():
                break
        for row in target[:, 1:].tolist():
            found.append(row[: row.index(pairs.end)] if pairs.end in row else row)
    return found


@torch.no_grad()
def summary_losses(model: nn.Module, pairs: EncodedPairs) -> np.ndarray:
    """The mean loss of a token of each true summary, its end-of-text token included, in nats, `(pairs,)`.

    The model is an `EncoderDecoder` or a causal one, and is left in evaluation mode. Every loss is that of the true
    tokens before it, so it says what a model has learnt where its own answers are not yet worth reading.

    Raises:
        InputError: for a pair that is longer than a causal model reads.
    """
    targets = [[*summary.tolist(), pairs.end] for summary in pairs.summaries]
    if not isinstance(model, EncoderDecoder):
        wholes = [[*prompt, *target] for prompt, target in zip(pairs.prompts, targets, strict=True)]
        rows = losses_after(model, wholes, list(map(len, pairs.prompts)))
        return rows.groupby("text")["loss"].mean().to_numpy()
    model.eval()
    batches, sums = SourceTargetBatches(pairs, batch_tokens=8192, seed=0), np.empty(len(targets))
    for index in range(len(batches)):
        batch = {name: each.to(model.device) for name, each in batches[index].items()}
        labels = batch.pop("labels")  # (batch, target)
        logits = model(**batch).logits.transpose(1, 2)  # (batch, vocabulary, target)
        losses = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        sums[batches.members(index)] = losses.double().sum(1).cpu().numpy()
    return sums / np.array(list(map(len, targets)))


def names(text: str) -> set[str]:
    """The words that name code or a method: with an underscore, a dot or a digit in them, or a capital inside.

    Examples:
        >>> sorted(names("Alias of numpy.ndarray.T, e.g. in SciPy: call fft2 with max_iter = 10, or PCA."))
        ['PCA', 'SciPy', 'fft2', 'max_iter', 'numpy.ndarray.T']
    """
    found = re.findall(r"[A-Za-z_]\w*(?:\.\w+)*", text)
    return {word for word in found if re.search(r"_|\d|\w\.\w\w|\w[A-Z]", word)}


def name_table(pairs: pd.DataFrame, answers: Sequence[str]) -> pd.DataFrame:
    """How exact an answer is about names, a row each.

    Args:
        pairs: source and summary, as `summary_pairs` gives them.
        answers: one for each.

    Returns:
        A table with wanted (names in the true summary), kept (those that the answer has too) and invented (names of the
        answer that stand nowhere in the source, not even in another name).

    Raises:
        ValueError: for another number of answers than of pairs.

    Examples:
        >>> pairs = pd.DataFrame({"source": ["Calls fft2 on each block."], "summary": ["Apply fft2."]})
        >>> name_table(pairs, ["Call fft2 and rfft2."]).to_dict("records")
        [{'wanted': 1, 'kept': 1, 'invented': 1}]
    """
    if len(answers) != len(pairs):
        raise ValueError(f"answers: {len(answers)} do not pair with {len(pairs)} pairs")
    rows = []
    for source, summary, answer in zip(pairs["source"], pairs["summary"], answers, strict=True):
        wanted, given = names(summary), names(answer)
        rows.append((len(wanted), len(wanted & given), sum(name not in source for name in given)))
    return pd.DataFrame(rows, columns=["wanted", "kept", "invented"])
