"""Masks have the shares that the paper gives, touch no special token, and the loss counts masked positions only."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from transformers import DataCollatorForLanguageModeling

from largemodels.models.losses import IGNORED
from largemodels.pretraining.masked_lm import (
    MaskedBatches,
    Masking,
    by_library,
    fill_mask,
    mask_tokens,
    masked_language_loss,
    masked_tokens,
    uniform_entropy,
    unigram_cross_entropy,
    unigram_entropy,
)
from small_corpus import encoder, text, tokenizer

SPECIAL = 5  # ids 0 to 4
CERTAIN = 1e-6  # how rarely a test of shares may fail by chance


def random_text(rows, length, seed):
    """Random ordinary tokens with `[CLS]`, `[SEP]` and padding around them."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(SPECIAL, len(tokenizer()), (rows, length), generator=generator)
    ids[:, 0], ids[:, length // 2] = tokenizer().cls_token_id, tokenizer().sep_token_id
    ids[:, length // 2 + 1 :] = tokenizer().pad_token_id
    return ids


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def is_plausible(count, n, share):
    return stats.binomtest(int(count), int(n), share).pvalue > CERTAIN


@given(st.sampled_from([0.15, 0.3, 0.4, 0.8]), st.sampled_from([(0.8, 0.1), (1.0, 0.0), (0.0, 1.0), (0.5, 0.25)]))
def test_the_shares_are_those_asked_for_within_binomial_error(rate, shares):
    masking = Masking(rate, *shares)
    ids = random_text(400, 101, 1)
    hidden, labels = mask_tokens(ids, tokenizer(), masking, generator())
    chosen, ordinary = labels != IGNORED, ids >= SPECIAL
    masked, same = hidden[chosen] == tokenizer().mask_token_id, hidden[chosen] == ids[chosen]
    assert is_plausible(chosen.sum(), ordinary.sum(), rate)
    assert is_plausible(masked.sum(), chosen.sum(), masking.mask_share)
    # A random token is now and then the token itself.
    by_chance = masking.random_share / (len(tokenizer()) - SPECIAL)
    assert is_plausible(same.sum(), chosen.sum(), 1 - sum(shares) + by_chance)


@given(st.integers(1, 8), st.integers(3, 30), st.integers(0, 2**31), st.floats(0.01, 0.99))
def test_special_tokens_and_padding_are_never_chosen_and_only_chosen_tokens_change(rows, length, seed, rate):
    ids = random_text(rows, length, seed)
    before = ids.clone()
    hidden, labels = mask_tokens(ids, tokenizer(), Masking(rate), generator(seed))
    assert (labels[ids < SPECIAL] == IGNORED).all()
    assert (hidden[labels == IGNORED] == ids[labels == IGNORED]).all()
    assert (labels[labels != IGNORED] == ids[labels != IGNORED]).all()
    assert (ids == before).all()


def test_a_random_replacement_is_any_ordinary_token_and_no_special_one():
    ids = random_text(300, 101, 2)
    hidden, labels = mask_tokens(ids, tokenizer(), Masking(0.9, 0.0, 1.0), generator())
    replaced = hidden[labels != IGNORED]
    counts = torch.bincount(replaced, minlength=len(tokenizer()))
    assert (counts[:SPECIAL] == 0).all()
    assert stats.chisquare(counts[SPECIAL:].numpy()).pvalue > CERTAIN


def test_masks_are_distributed_as_those_of_transformers():
    """Counts of what a token may become, compared in one table: [MASK], another token, itself, not chosen."""
    ids = random_text(2000, 61, 3)

    def fates(hidden, labels):
        ordinary, chosen = ids >= SPECIAL, labels != IGNORED
        masked = chosen & (hidden == tokenizer().mask_token_id)
        same = chosen & (hidden == ids)
        other = chosen & ~masked & ~same
        return [int(kind.sum()) for kind in (masked, other, same, ordinary & ~chosen)]

    theirs = DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.15, seed=0)
    collated = theirs([{"input_ids": row} for row in ids])
    table = [
        fates(*mask_tokens(ids, tokenizer(), Masking(), generator())),
        fates(collated["input_ids"], collated["labels"]),
    ]
    assert stats.chi2_contingency(table).pvalue > 1e-4
    without_the_tenths = fates(*mask_tokens(ids, tokenizer(), Masking(0.15, 1.0, 0.0), generator()))
    assert stats.chi2_contingency([table[1], without_the_tenths]).pvalue < CERTAIN


def test_shares_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"rate: 1\.5 is not between 0 and 1"):
        Masking(1.5)
    with pytest.raises(ValueError, match=r"mask_share and random_share: 0\.8 and 0\.3"):
        Masking(0.15, 0.8, 0.3)


# The loss, and a wrong one


def mean_over_every_position(logits, labels):
    """A mistake that has been published: zero where nothing is predicted, divided by all positions, padded ones too."""
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=IGNORED)
    return losses.mean()


def mean_of_the_means_of_rows(logits, labels):
    """Another: rows with one masked token count as much as rows with ten."""
    rows = [F.cross_entropy(row, label, ignore_index=IGNORED) for row, label in zip(logits, labels, strict=True)]
    return torch.stack(rows).mean()


def masked_problem(seed):
    drawn = generator(seed)
    labels = torch.randint(0, 9, (4, 6), generator=drawn)
    labels[torch.rand(4, 6, generator=drawn) < 0.5] = IGNORED
    labels[:, 0] = 1  # something in every row
    return torch.randn(4, 6, 9, generator=drawn), labels


def changes_with_padding(loss, seed):
    logits, labels = masked_problem(seed)
    padded = F.pad(logits, (0, 0, 0, 5)), F.pad(labels, (0, 5), value=IGNORED)
    return not math.isclose(loss(*padded), loss(logits, labels), rel_tol=1e-5)


def changes_with_the_division_into_rows(loss, seed):
    logits, labels = masked_problem(seed)
    return not math.isclose(loss(logits.view(2, 12, 9), labels.view(2, 12)), loss(logits, labels), rel_tol=1e-5)


@given(st.integers(0, 2**31))
def test_the_loss_does_not_change_when_padding_is_added(seed):
    assert not changes_with_padding(masked_language_loss, seed)
    assert changes_with_padding(mean_over_every_position, seed)


@given(st.integers(0, 2**31))
def test_the_loss_does_not_change_with_the_division_into_rows(seed):
    assert not changes_with_the_division_into_rows(masked_language_loss, seed)


def test_a_mean_of_means_is_told_apart_by_the_division_into_rows():
    assert any(changes_with_the_division_into_rows(mean_of_the_means_of_rows, seed) for seed in range(5))


# Batches


def batches(seed=0, **options):
    sequences = text()
    return sequences, MaskedBatches(sequences, tokenizer(), Masking(0.3), batch_tokens=128, seed=seed, **options)


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in ("input_ids", "attention_mask", "labels"))


def test_a_batch_depends_on_seed_and_number_and_not_on_what_was_read_before():
    _, straight = batches(batches=40)
    _, jumping = batches(batches=40)
    in_order = [straight[i] for i in range(40)]
    for index in np.random.default_rng(0).permutation(40):
        assert equal(jumping[int(index)], in_order[index])
    assert not equal(batches(seed=1)[1][0], in_order[0])


def test_every_epoch_reads_every_sequence_once_and_hides_other_tokens():
    sequences, found = batches()
    for epoch in range(3):
        numbers = range(epoch * len(found), (epoch + 1) * len(found))
        members = np.concatenate([found.members(i) for i in numbers])
        assert sorted(members) == list(range(len(sequences)))
    assert not np.array_equal(found.members(0), found.members(len(found)))
    first, later = (
        {tuple(row.tolist()) for i in numbers for row in found[i]["labels"]}
        for numbers in (range(len(found)), range(len(found), 2 * len(found)))
    )
    assert len(first & later) < len(first) / 2


# Guesses on held-out text


def test_the_table_of_hidden_tokens_has_the_models_losses_and_depends_on_the_seed_alone():
    model, sequences = encoder(), text()
    table = masked_tokens(model, tokenizer(), sequences, seed=3)
    pd.testing.assert_frame_equal(table, masked_tokens(model, tokenizer(), sequences, seed=3))
    assert not table.equals(masked_tokens(model, tokenizer(), sequences, seed=4))
    assert set(table["library"]) == {"alpha", "beta"}
    assert set(table["document"]) <= set(sequences.documents)
    assert not set(table["token"]) & set(tokenizer().all_special_tokens)
    assert table["loss"].mean() == pytest.approx(uniform_entropy(tokenizer()), abs=0.3)  # it has learned nothing


def test_a_model_that_knows_the_answer_loses_nothing():
    """Chosen tokens stay as they are and the model repeats what it reads: every token must get its own loss."""
    model, sequences = encoder(), text()
    size = len(tokenizer())

    class Echo(torch.nn.Module):
        config, device = model.config, torch.device("cpu")

        def base_model(self, input_ids, attention_mask):
            from transformers.modeling_outputs import BaseModelOutput

            return BaseModelOutput(torch.nn.functional.one_hot(input_ids, size).float())

        def cls(self, states):
            return states * 50

    table = masked_tokens(Echo(), tokenizer(), sequences, Masking(0.2, 0.0, 0.0))
    assert table["correct"].all()
    assert table["loss"].max() < 1e-6
    blind = masked_tokens(Echo(), tokenizer(), sequences, Masking(0.2, 0.0, 0.0), context=False)
    assert blind[["document", "token"]].equals(table[["document", "token"]]), "the same tokens are asked for"
    assert not blind["correct"].any()
    assert blind["loss"].min() > 10, "it has seen [MASK] where the token stood"
    mixed = masked_tokens(Echo(), tokenizer(), sequences, Masking(0.5, 0.5, 0.25))
    assert mixed["correct"].equals(mixed["shown"] == mixed["token"]), "it repeats what is shown, and nothing else"
    assert (mixed["shown"] == "[MASK]").mean() == pytest.approx(0.5, abs=0.1)
    blind = masked_tokens(Echo(), tokenizer(), sequences, Masking(0.5, 0.5, 0.25), context=False)
    assert blind["shown"].equals(mixed["shown"]), "what the masking did stays known"


def test_the_unigram_entropy_is_that_of_the_tokens_that_can_be_hidden():
    sequences = text(documents=400)
    frequent = masked_tokens(encoder(), tokenizer(), sequences, Masking(0.5))["token"].value_counts(normalize=True)
    assert unigram_entropy(tokenizer(), sequences) == pytest.approx(-(frequent * np.log(frequent)).sum(), abs=0.03)
    assert unigram_entropy(tokenizer(), sequences) < uniform_entropy(tokenizer()) == math.log(120)


def test_the_unigram_guess_of_other_text_costs_its_tokens_under_the_shares_of_the_first():
    known, other = text(documents=400), text(documents=20, seed=5)
    special = set(tokenizer().all_special_ids)
    counts = dict.fromkeys(set(range(len(tokenizer()))) - special, 1)  # one each, so that none is impossible
    for token in np.concatenate(known.input_ids).tolist():
        if token not in special:
            counts[token] += 1
    total = sum(counts.values())
    losses = [-math.log(counts[t] / total) for t in np.concatenate(other.input_ids).tolist() if t not in special]
    cost = unigram_cross_entropy(tokenizer(), known, other)
    assert cost == pytest.approx(np.mean(losses))
    assert cost > unigram_entropy(tokenizer(), other), "the tokens of the other text cost least under their own shares"


def test_masks_are_filled_with_the_likeliest_tokens_first():
    found = fill_mask(encoder(), tokenizer(), "the [MASK] holds a [MASK].", top=4)
    assert found["mask"].tolist() == [0] * 4 + [1] * 4
    for _, rows in found.groupby("mask"):
        assert rows["probability"].is_monotonic_decreasing
        assert rows["probability"].sum() < 1


def test_a_sentence_without_a_mask_or_too_long_is_refused():
    with pytest.raises(ValueError, match=r"sentence: 'the array' holds no \[MASK\]"):
        fill_mask(encoder(), tokenizer(), "the array")
    with pytest.raises(ValueError, match="sentence: 103 tokens are more than the 64 that the model reads"):
        fill_mask(encoder(), tokenizer(), "[MASK]" + " the" * 100)


def test_hidden_tokens_are_summed_up_by_library_and_over_all():
    table = masked_tokens(encoder(), tokenizer(), text())
    summary = by_library(table).set_index("library")
    assert list(summary.index) == ["alpha", "beta", "all"]
    assert summary.loc["all", "n"] == len(table) == summary.loc[["alpha", "beta"], "n"].sum()
    assert summary.loc["all", "correct"] == table["correct"].sum()
    assert summary.loc["all", "loss"] == pytest.approx(table["loss"].mean())
    assert ((summary["low"] < summary["loss"]) & (summary["loss"] < summary["high"])).all()
