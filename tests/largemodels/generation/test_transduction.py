"""The toy task has the answers that a loop finds, and a mask decides what each kind of network can know of them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from largemodels.base.errors import InputError
from largemodels.generation.transduction import (
    IN_PLACE,
    KINDS,
    SingleStack,
    SkylineTask,
    answer_logits,
    answer_losses,
    answers,
    cross_attention,
    ideal,
    judged,
    mask_of,
    measured,
    network,
    train_kind,
)

TASK = SkylineTask(length=6, letters=4)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def every_source(task: SkylineTask) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(task.letters), repeat=task.length)))


def letters_of(task: SkylineTask, row: list[int]) -> str:
    return "".join("abcdefghijklmnopqrstuvwxyz"[letter] for letter in row)


@pytest.mark.parametrize("seen_from", ["left", "right"])
def test_the_answer_is_what_somebody_sees_who_stands_at_the_end(seen_from):
    task = SkylineTask(length=5, letters=3, seen_from=seen_from)
    sources = every_source(task)
    capitals = torch.arange(len(sources)) % 2
    written, in_place = task.written(sources, capitals), task.in_place(sources, capitals)
    for place, row in enumerate(sources.tolist()):
        seen, highest = [], -1
        for house in row if seen_from == "left" else row[::-1]:
            if house > highest:
                seen.append(house)
                highest = house
        expected = letters_of(task, seen if seen_from == "left" else seen[::-1])
        expected = expected.upper() if capitals[place] else expected
        assert task.text(written[place]) == task.text(in_place[place]) == expected
        assert written[place, -1] == task.end


def test_no_source_of_the_training_is_held_out():
    held_out = {tuple(row) for row in TASK.sources(4000, drawn(), held_out=True).tolist()}
    training = {tuple(row) for row in TASK.sources(4000, drawn()).tolist()}
    assert len(held_out) > 400
    assert len(training) > 2000
    assert not held_out & training


def test_no_letter_tells_what_is_held_out():
    sources = every_source(TASK)
    held_out = TASK.held_out(sources).double()
    assert held_out.mean() == pytest.approx(1 / 8, abs=0.02)
    for place in range(TASK.length):
        for letter in range(TASK.letters):
            assert held_out[sources[:, place] == letter].mean() == pytest.approx(1 / 8, abs=0.04)
    behind = held_out.view(-1, TASK.letters).sum(1)  # of the sources that differ in the last letter only
    assert behind.unique().tolist() != [1.0]
    assert held_out[TASK.seen(sources).sum(1) == 1].mean() == pytest.approx(1 / 8, abs=0.03)


def test_a_task_with_too_few_sources_has_none():
    with pytest.raises(InputError, match="3 letters at 5 places are too few sources to hold some out"):
        SkylineTask(length=5, letters=3).sources(4, drawn())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 1}, "length: 1 is not at least 2"),
        ({"letters": 27}, "letters: 27 is not between 2 and 26"),
        ({"seen_from": "above"}, "seen_from: 'above' is not one of left, right"),
    ],
)
def test_what_is_no_task_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        SkylineTask(**options)


def test_networks_have_about_as_many_weights():
    sizes = [sum(parameter.numel() for parameter in network(kind, TASK).parameters()) for kind in KINDS]
    assert max(sizes) < 1.02 * min(sizes)


def test_an_encoder_decoder_reads_as_a_prefix_decoder_does():
    assert torch.equal(mask_of("encoder–decoder", TASK), mask_of("prefix decoder", TASK))


def moved(kind: str, change: str) -> torch.Tensor:
    """At which tokens of an answer the logits move when one letter of the source, or of the answer, is another."""
    model = network(kind, TASK, seed=1).double().eval()
    source, written = (
        torch.tensor([[1, 0, 3, 1, 2, 0]]),
        torch.tensor([[3, 2, 0, TASK.end, TASK.end, TASK.end, TASK.end]]),
    )
    before = answer_logits(kind, model, TASK, source, written)
    where, place = change.split()
    tokens = {"source": source.clone(), "written": written.clone()}
    tokens[where][0, int(place)] = 1 if where == "source" else 0
    after = answer_logits(kind, model, TASK, **tokens)
    return (before - after).abs().amax((0, 2)) > 1e-9


def test_a_mask_decides_what_an_answer_depends_on():
    everywhere = torch.ones(7, dtype=torch.bool)
    assert moved("encoder", "source 4").all()
    assert moved("causal encoder", "source 4").tolist() == [False] * 4 + [True] * 2
    for kind in ("decoder", "prefix decoder", "encoder–decoder"):
        assert (moved(kind, "source 4") == everywhere).all()
        assert moved(kind, "written 1").tolist() == [False] * 2 + [True] * 5
    for kind in IN_PLACE:
        assert not moved(kind, "written 1").any()


def test_only_the_prefix_mask_lets_a_source_token_know_what_follows_it():
    source = torch.tensor([[1, 0, 3, 1, 2, 0, TASK.begin] + [TASK.end] * 6])
    changed = source.clone()
    changed[0, 5] = 2
    for kind, knows in (("decoder", False), ("prefix decoder", True)):
        model = network(kind, TASK, seed=1).double()
        difference = model(source, mask_of(kind, TASK)) - model(changed, mask_of(kind, TASK))
        assert (difference[0, 0].abs().max() > 1e-9) == knows


class Certain(nn.Module):
    """Gives the right answer in place, either case as likely as the other, at each place apart from the others."""

    def forward(self, source, mask):
        right = TASK.in_place(source, torch.zeros(len(source), dtype=torch.long))
        logits = torch.full((*source.shape, TASK.vocabulary_size), -1e9)
        logits.scatter_(2, right.unsqueeze(2), 0.0)
        other = torch.where(right == TASK.blank, right, right + TASK.letters)
        return logits.scatter_(2, other.unsqueeze(2), 0.0)


def test_places_that_draw_apart_do_as_the_ideal_encoder():
    source = TASK.sources(4000, drawn(), held_out=True)
    (found,) = measured("encoder", [Certain()], TASK, source, seed=1).itertuples()
    expected = ideal("encoder", TASK, source)
    assert found.houses == expected["houses"] == 1
    assert found.loss == pytest.approx(expected["loss"], abs=1e-4)
    assert found.exact == found.one_case == pytest.approx(expected["exact"], abs=0.025)
    assert found.exact < 0.8


def test_mixtures_and_wrong_houses_are_told_apart():
    source = torch.tensor([[1, 0, 3, 1, 2, 0]] * 4)
    end = TASK.end
    given = torch.tensor([[3, 2, 0, end], [7, 6, 4, end], [7, 2, 0, end], [3, 2, end, end]])
    found = judged(TASK, source, given)
    assert found["answer"].tolist() == ["dca", "DCA", "Dca", "dc"]
    assert found["houses"].tolist() == [True, True, True, False]
    assert found["one_case"].tolist() == [True, True, False, True]
    assert found["exact"].tolist() == [True, True, False, False]


def counted(task: SkylineTask) -> torch.Tensor:
    """P(seen | place and height), `(sources, length)`, by counting over all sources."""
    sources = every_source(task)
    seen = task.seen(sources).double()
    found = torch.zeros_like(seen)
    for place in range(task.length):
        for height in range(task.letters):
            alike = sources[:, place] == height
            found[alike, place] = seen[alike, place].mean()
    return found


def test_the_ideal_without_what_follows_is_that_of_counting():
    task = SkylineTask(length=4, letters=3)
    sources = every_source(task)
    loss = houses = one_case = exact = 0.0
    for sure, seen in zip(counted(task).tolist(), task.seen(sources).tolist(), strict=True):
        options = [{"small": p / 2, "capital": p / 2, "blank": 1 - p} for p in sure]
        loss -= sum(p * math.log(p) for option in options for p in option.values() if p)
        for drawn_row in itertools.product(("small", "capital", "blank"), repeat=task.length):
            probability = math.prod(option[sign] for option, sign in zip(options, drawn_row, strict=True))
            right = [sign != "blank" for sign in drawn_row] == seen
            agree = len(set(drawn_row) - {"blank"}) < 2
            houses += probability * right
            one_case += probability * agree
            exact += probability * (right and agree)
    expected = {"loss": loss, "houses": houses, "one_case": one_case, "exact": exact}
    found = ideal("causal encoder", task, sources)
    assert found.to_dict() == pytest.approx({name: total / len(sources) for name, total in expected.items()})


def test_whoever_sees_all_or_writes_has_nothing_to_guess_but_the_case():
    sources = every_source(SkylineTask(length=4, letters=3))
    left = SkylineTask(length=4, letters=3, seen_from="left")
    assert ideal("causal encoder", left, sources).equals(ideal("encoder", left, sources))
    for kind in ("decoder", "prefix decoder", "encoder–decoder"):
        assert ideal(kind, TASK, sources).to_dict() == {"loss": math.log(2), "houses": 1, "one_case": 1, "exact": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_an_answer_is_that_of_its_tokens(kind):
    model = network(kind, TASK, seed=2).eval()
    source, capitals = torch.tensor([[1, 0, 3, 1, 2, 0]]), torch.tensor([1])
    written = TASK.written(source, capitals)
    logs = answer_logits(kind, model, TASK, source, written).log_softmax(-1)[0].detach()
    tokens = TASK.in_place(source, capitals)[0] if kind in IN_PLACE else written[0, :4]  # DCA and the end
    expected = -sum(float(logs[place, token]) for place, token in enumerate(tokens.tolist()))
    with torch.no_grad():
        assert float(answer_losses(kind, model, TASK, source, capitals)) == pytest.approx(expected, abs=1e-4)


def test_an_answer_begun_is_read_as_within_the_whole():
    source = TASK.sources(5, drawn())
    written = TASK.written(source, torch.ones(5, dtype=torch.long))
    for kind in ("decoder", "prefix decoder", "encoder–decoder"):
        model = network(kind, TASK, seed=2).double()
        whole = answer_logits(kind, model, TASK, source, written)
        torch.testing.assert_close(answer_logits(kind, model, TASK, source, written[:, :3]), whole[:, :3])


def test_the_cross_attention_of_each_token_is_a_distribution_over_the_source():
    model = network("encoder–decoder", TASK)
    source = TASK.sources(3, drawn())
    (weights,) = cross_attention(model, source, torch.full((3, 2), TASK.begin))
    assert weights.shape == (3, 4, 2, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 2))
    assert not any(block.cross_attention._forward_hooks for block in model.decoder.blocks)


def test_nothing_is_written_behind_an_end():
    source = TASK.sources(200, drawn())
    written = answers("decoder", network("decoder", TASK), TASK, source, drawn())
    ended = (written == TASK.end).cumsum(1) > 0
    assert ended.any()
    assert (written[ended] == TASK.end).all()


def test_the_stack_reads_positions_as_differences():
    model = SingleStack(TASK.vocabulary_size, width=16, num_layers=2, num_heads=2, inner=16)
    tokens = torch.tensor([[1, 2, 3, 1]])
    assert not torch.allclose(model(tokens), model(tokens.flip(1)).flip(1))


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_loss(kind):
    models, losses = train_kind(kind, TASK, steps=25, seeds=[0, 1], batch=8)
    assert len(models) == 2
    assert (losses[-5:].mean(0) < losses[:5].mean(0) - 0.5).all()
