"""Induction heads: the scores find a circuit that was written by hand, and one layer cannot have it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.induction import (
    PERIODS,
    AttentionOnly,
    circuit_by_hand,
    head_scores,
    induction_scores,
    odds_moved,
    position_losses,
    previous_token_scores,
    repeated_sequences,
    share_continued,
    train_on_repeats,
)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_sequence_is_followed_by_itself_and_has_no_token_twice_but_for_that():
    sequences = repeated_sequences(500, 7, 20, drawn())
    assert sequences.shape == (500, 14)
    assert (sequences[:, :7] == sequences[:, 7:]).all()
    assert all(len(set(row)) == 7 for row in sequences.tolist())
    counts = sequences[:, :7].flatten().bincount(minlength=20)
    assert (counts - 500 * 7 / 20).abs().max() < 60  # some 4.5 standard deviations
    assert repeated_sequences(3, 6, 6, drawn()).unique().tolist() == list(range(6))


@pytest.mark.parametrize(
    ("period", "vocabulary_size", "said"),
    [(1, 20, "period: 1 is not at least 2"), (7, 6, "vocabulary_size: 6 tokens are fewer than a period of 7")],
)
def test_what_cannot_be_repeated_is_refused(period, vocabulary_size, said):
    with pytest.raises(InputError, match=said):
        repeated_sequences(3, period, vocabulary_size, drawn())


def test_scores_are_one_for_heads_that_do_nothing_else():
    period, length = 4, 8
    previous, induction = torch.zeros(length, length), torch.zeros(length, length)
    for query in range(1, length):
        previous[query, query - 1] = 1
    for query in range(period, length):
        induction[query, query - period + 1] = 1
    uniform = torch.ones(length, length).tril() / torch.arange(1, length + 1)[:, None]
    weights = torch.stack([previous, induction, uniform]).expand(2, 3, length, length)
    even = [sum(1 / (query + 1) for query in range(start, length)) / (length - start) for start in (1, period)]
    torch.testing.assert_close(previous_token_scores(weights), torch.tensor([1, 0, even[0]]))
    torch.testing.assert_close(induction_scores(weights), torch.tensor([0, 1, even[1]]))


def test_a_circuit_written_by_hand_continues_repetitions_and_is_found():
    model = circuit_by_hand(vocabulary_size=12)
    for period in (3, 7, 12):
        sequences = repeated_sequences(20, period, 12, drawn())
        assert share_continued(model, sequences) == 1
        scores = head_scores(model, sequences).set_index(["layer", "head"])
        assert scores["previous"][1, 1] > 0.99
        assert scores["induction"][1, 1] < 0.01
        # The first token counts as its own predecessor: there, attention is halved.
        assert scores["induction"][2, 1] == pytest.approx(1 - 1 / (2 * period), abs=0.01)
    assert position_losses(model, sequences)[:, 13:].max() < 0.01


def test_the_circuit_is_lost_with_either_head():
    sequences = repeated_sequences(20, 8, 12, drawn())
    for layer in (0, 1):
        model = circuit_by_hand(vocabulary_size=12)
        torch.nn.init.zeros_(model.layers[layer].output.weight)
        assert share_continued(model, sequences) < 0.4


def test_in_one_layer_no_other_token_moves_the_odds_between_two_keys():
    sequences = repeated_sequences(40, 6, 16, drawn(1))
    for seed in range(3):
        model = AttentionOnly(16, width=16, num_layers=2, seed=seed).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3, generator=drawn(seed))
        first, second = odds_moved(model, sequences)
        assert first < 1e-9
        assert second > 0.01


def test_losses_are_those_of_the_tokens_that_follow():
    model, sequences = AttentionOnly(16, width=16), repeated_sequences(3, 5, 16, drawn())
    losses = position_losses(model, sequences)
    assert losses.shape == (3, 9)
    log_probabilities = F.log_softmax(model(sequences).logits, -1)
    torch.testing.assert_close(losses[2, 4], -log_probabilities[2, 4, sequences[2, 5]])


def test_any_causal_model_has_scores():
    sequences = repeated_sequences(2, 5, 16, drawn())
    ours = Decoder(DecoderShape(16, width=16, num_layers=3, num_heads=2, key_value_heads=1, inner=32, max_length=12))
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=16, n_layer=2, n_head=4, attn_implementation="sdpa")).eval()
    for model, layers, heads in ((ours, 3, 2), (gpt2, 2, 4)):
        scores = head_scores(model, sequences)
        assert scores[["layer", "head"]].max().tolist() == [layers, heads]
        assert scores[["previous", "induction"]].stack().between(0, 1).all()
    assert gpt2.config._attn_implementation == "sdpa"  # as before


def test_a_model_that_gives_no_weights_is_named():
    class Silent(AttentionOnly):
        def forward(self, input_ids, output_attentions=False):
            return super().forward(input_ids)

    with pytest.raises(InputError, match="Silent gives no attention weights"):
        head_scores(Silent(16, width=16), repeated_sequences(2, 5, 16, drawn()))


def test_training_lowers_the_loss_of_the_second_time_and_takes_every_period():
    models, losses = train_on_repeats(1, vocabulary_size=12, steps=150, seeds=[0, 1], batch=8)
    assert losses.shape == (150, 2)
    assert len(models) == 2
    assert (losses[-9:].mean(0) < losses[:9].mean(0) - 0.2).all()
    assert {PERIODS[step * 5 % len(PERIODS)] for step in range(len(PERIODS))} == set(PERIODS)
