"""Pairs of the corpus, batches of the two kinds of model, the greedy loop, and names."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.encoder_decoder import EncoderDecoder
from largemodels.generation.summaries import (
    EncodedPairs,
    PromptBatches,
    SourceTargetBatches,
    encode_pairs,
    greedy_targets,
    matching_encoder_decoder,
    name_table,
    names,
    summary_losses,
    summary_pairs,
    untrained,
)
from largemodels.generation.tokenization import train_tokenizer
from largemodels.models.losses import IGNORED
from largemodels.models.training import Recipe, train


def corpus(*documents):
    rows = [
        {
            "sentence": text,
            "library": "numpy",
            "section": section,
            "document": name,
            "position": place,
            "split": "train",
        }
        for name, sentences in documents
        for place, (section, text) in enumerate(sentences)
    ]
    return pd.DataFrame(rows)


GOOD = (
    "a",
    [("summary", "Return the sum."), ("description", "All numbers are added."), ("notes", "Slow for big arrays.")],
)


def test_a_pair_is_the_summary_and_the_other_sentences():
    [row] = summary_pairs(corpus(GOOD)).to_dict("records")
    assert row == {
        "document": "a",
        "library": "numpy",
        "split": "train",
        "source": "All numbers are added. Slow for big arrays.",
        "lead": "All numbers are added.",
        "summary": "Return the sum.",
    }


@pytest.mark.parametrize(
    "other",
    [
        ("b", [("description", "No summary here."), ("notes", "Nor here.")]),
        ("b", [("summary", "One more summary."), ("notes", "A single other sentence.")]),
        ("b", [("summary", "See below."), ("notes", "Two words."), ("notes", "Are no summary.")]),
        ("b", [("summary", "The first summary."), ("summary", "The second one."), ("notes", "x"), ("notes", "y")]),
        ("b", [("summary", "One word more " * 14), ("notes", "No line of"), ("notes", "forty words has more.")]),
    ],
)
def test_documents_without_a_proper_summary_give_no_pair(other):
    pairs = summary_pairs(corpus(GOOD, other))
    assert pairs["document"].tolist() == ["a"]
    assert pairs.attrs["copied"] == 0


def test_a_summary_that_stands_in_its_source_is_left_out_and_counted():
    copied = ("b", [("summary", "Return the sum."), ("notes", "It will return the sum, always."), ("notes", "Yes.")])
    spread = ("c", [("summary", "Return the sum."), ("notes", "It will return all the sum."), ("notes", "Yes.")])
    pairs = summary_pairs(corpus(GOOD, copied, spread))
    assert pairs["document"].tolist() == ["a", "c"]
    assert pairs.attrs["copied"] == 1


def test_text_without_summaries_is_refused():
    with pytest.raises(InputError, match="no document has a summary and two other sentences"):
        summary_pairs(corpus(("a", [("", "A paragraph."), ("", "Of three."), ("", "Sentences.")])))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["Return the sum. All numbers are added. Slow for big arrays."], 270)


@pytest.fixture
def encoded():
    sources = [np.array(ids) for ids in ([3, 4, 5], [6, 7], [8, 9, 10, 11])]
    prompts = [[0, *ids.tolist(), 0] for ids in sources]
    return EncodedPairs(sources, [np.array(ids) for ids in ([12], [13, 14, 15], [16, 17])], prompts, end=0)


def test_a_source_is_cut_at_its_end_and_a_summary_never(tokenizer):
    pairs = summary_pairs(corpus(GOOD))
    summary = tokenizer(pairs["summary"][0])["input_ids"]
    encoded = encode_pairs(pairs, tokenizer, max_source=5, max_length=5 + len(summary) + 3)
    assert encoded.sources[0].tolist() == tokenizer(pairs["source"][0])["input_ids"][:5]
    assert encoded.summaries[0].tolist() == summary
    assert encoded.prompts == [[0, *encoded.sources[0], 0]]
    assert encoded.lengths.tolist() == [5 + len(summary) + 3]
    [batch] = PromptBatches(encoded, batch_tokens=100, seed=0)
    assert batch["labels"][0, -1] == encoded.end
    shorter = encode_pairs(pairs, tokenizer, max_source=5, max_length=2 + len(summary) + 3)
    assert shorter.sources[0].tolist() == encoded.sources[0].tolist()[:2], "the summary's room comes first"
    with pytest.raises(InputError, match=rf"a summary of {len(summary)} tokens leaves no room for its source"):
        encode_pairs(pairs, tokenizer, max_source=5, max_length=9)
    with pytest.raises(InputError, match="pairs: there are none"):
        encode_pairs(pairs[:0], tokenizer, max_source=5, max_length=99)


def test_a_source_begins_as_texts_begin(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.bos_token = "!"
    pairs = summary_pairs(corpus(GOOD))
    [prompt] = encode_pairs(pairs, other, max_source=5, max_length=99).prompts
    assert prompt[0] == other.bos_token_id != other.eos_token_id == prompt[-1]
    other.bos_token = None
    assert encode_pairs(pairs, other, max_source=5, max_length=99).prompts == [[0, *prompt[1:]]]
    other.eos_token = None
    with pytest.raises(InputError, match="tokenizer: has no end-of-text token"):
        encode_pairs(pairs, other, max_source=5, max_length=99)


def test_a_decoder_is_asked_for_the_summary_and_its_end_alone(encoded):
    [batch] = PromptBatches(encoded, batch_tokens=100, seed=0)
    for row in range(3):
        length = int(batch["attention_mask"][row].sum())
        asked = batch["labels"][row] != IGNORED
        place = next(i for i in range(3) if encoded.prompts[i][1] == batch["input_ids"][row, 1])
        prompt, summary = encoded.prompts[place], [*encoded.summaries[place].tolist(), 0]
        assert batch["input_ids"][row, :length].tolist() == [*prompt, *summary]
        assert asked.nonzero().ravel().tolist() == list(range(len(prompt), length))
        assert batch["labels"][row, asked].tolist() == summary


def test_an_encoder_decoder_reads_the_source_and_writes_the_same_summary(encoded):
    prompted = PromptBatches(encoded, batch_tokens=20, seed=3, batches=4)
    paired = SourceTargetBatches(encoded, batch_tokens=20, seed=3, batches=4)
    for number in range(4):
        one, two = prompted[number], paired[number]
        for row in range(len(one["labels"])):
            summary = one["labels"][row][one["labels"][row] != IGNORED].tolist()
            assert two["labels"][row][two["labels"][row] != IGNORED].tolist() == summary
            assert two["decoder_input_ids"][row, : len(summary)].tolist() == [0, *summary[:-1]]
            source = two["input_ids"][row][two["attention_mask"][row].bool()].tolist()
            assert one["input_ids"][row, 1 : 1 + len(source)].tolist() == source


def decoder_shape(**changes):
    shape = {"width": 32, "num_layers": 2, "num_heads": 2, "key_value_heads": 1, "inner": 64, "max_length": 32}
    return DecoderShape(20, **shape | changes)


def test_an_untrained_model_has_the_shape_and_other_weights():
    model = Decoder(decoder_shape(), seed=1)
    new = untrained(model, seed=2)
    assert new.shape == model.shape
    assert not torch.equal(new.embedding.weight, model.embedding.weight)
    theirs = model.to_transformers()
    first, again, other = (untrained(theirs, seed=seed) for seed in (1, 1, 2))
    assert first.config.hidden_size == 32
    assert torch.equal(first.lm_head.weight, again.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


@pytest.mark.parametrize("theirs", [False, True])
def test_a_matching_encoder_decoder_has_as_many_weights_to_one_inner_component(theirs):
    model = Decoder(decoder_shape(num_layers=4, inner=88))
    model = model.to_transformers() if theirs else model
    found, wanted = (
        sum(parameter.numel() for parameter in each.parameters()) for each in (matching_encoder_decoder(model), model)
    )
    assert abs(found - wanted) <= 130  # half of what a component has in the four blocks: 4 · (2 · 32 + 1) / 2


def test_where_attention_alone_has_more_weights_the_feed_forward_layers_are_the_narrowest():
    model = matching_encoder_decoder(Decoder(decoder_shape(num_layers=1, inner=1)))
    assert model.encoder.blocks[0].feed_forward.up.weight.shape == (1, 32)


def test_greedy_answers_are_the_likeliest_token_each_time(encoded):
    model = EncoderDecoder(20, width=16, num_layers=1, num_heads=2, inner=32, seed=5).eval()
    with torch.no_grad():
        answers = greedy_targets(model, encoded, 6)
        for source, answer in zip(encoded.sources, answers, strict=True):
            row = [0]
            for _ in range(6):
                token = model(torch.tensor([source.tolist()]), decoder_input_ids=torch.tensor([row]))
                row.append(token.logits[0, -1].argmax().item())
                if row[-1] == 0:
                    break
            assert answer == [token for token in row[1:] if token != 0]


@pytest.mark.parametrize("kind", ["decoder", "theirs", "encoder–decoder"])
def test_the_losses_of_summaries_are_those_of_training_pair_by_pair(kind, encoded):
    decoder = Decoder(decoder_shape())
    model = {
        "decoder": decoder,
        "theirs": decoder.to_transformers(),
        "encoder–decoder": EncoderDecoder(20, width=16, num_layers=1, num_heads=2, inner=32, seed=5),
    }[kind]
    batches = (SourceTargetBatches if kind == "encoder–decoder" else PromptBatches)(encoded, batch_tokens=99, seed=0)
    found = summary_losses(model, encoded)
    for place in range(3):
        with torch.no_grad():
            loss = model(**batches.make(np.array([place]), torch.Generator())).loss
        assert found[place] == pytest.approx(loss.item(), rel=1e-5)


def test_both_kinds_learn_their_summaries_by_heart(encoded, tokenizer):
    recipe = Recipe(steps=60, batch_tokens=64, learning_rate=1e-2)
    model = EncoderDecoder(20, width=16, num_layers=1, num_heads=2, inner=32)
    train(model, tokenizer, lambda **options: SourceTargetBatches(encoded, **options), recipe)
    wanted = [summary.tolist() for summary in encoded.summaries]
    assert greedy_targets(model, encoded, 6) == wanted
    decoder = Decoder(decoder_shape())
    train(decoder, tokenizer, lambda **options: PromptBatches(encoded, **options), recipe)
    for prompt, summary in zip(encoded.prompts, wanted, strict=True):
        whole = torch.tensor([[*prompt, *summary, 0]])
        likeliest = decoder.eval()(whole).logits[0, len(prompt) - 1 : -1].argmax(-1)
        assert likeliest.tolist() == [*summary, 0]


def test_names_are_words_of_code():
    text = "Use `fit_transform` of DataFrame.sum() (v2), i.e. e.g. The Word. A value of 3.5 or __init__; see SVD, end."
    assert names(text) == {"fit_transform", "DataFrame.sum", "v2", "__init__", "SVD"}


def test_names_are_kept_or_invented():
    pairs = pd.DataFrame(
        {
            "source": ["Calls np.fft.fft2 on x_max.", "Plain words."],
            "summary": ["Apply fft2 and x_max of SciPy.", "No name."],
        }
    )
    table = name_table(pairs, ["The x_max of fft2, by NumPy and y_max.", "No name"])
    assert table.to_dict("records") == [
        {"wanted": 3, "kept": 2, "invented": 2},
        {"wanted": 0, "kept": 0, "invented": 0},
    ]
    with pytest.raises(ValueError, match="1 do not pair with 2"):
        name_table(pairs, ["x"])
