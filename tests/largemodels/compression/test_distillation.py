"""A student learns its teacher's answers; its losses are those of PyTorch and of transformers' own pieces."""

import copy

import pytest
import torch
import torch.nn.functional as F

from largemodels.base.errors import InputError
from largemodels.compression.distillation import (
    check_smaller,
    distil,
    hidden_loss,
    narrow_student,
    soft_loss,
    student_of,
)
from largemodels.models.classifiers import predict
from largemodels.models.trainable import blocks_of
from largemodels.models.training import Recipe
from small_classifiers import batches, classifier, logits
from small_corpus import examples, tokenizer

NARROW = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "inner_size": 24, "seed": 0}


def taught(student, teacher, steps=30, rows=80, **options):
    recipe = Recipe(steps=steps, batch_tokens=256, learning_rate=5e-3)
    options = {"max_length": 32, **options}
    return distil(student, teacher, tokenizer(), examples(rows), recipe, **options)


def test_the_soft_loss_is_the_divergence_that_torch_has_times_the_square_of_the_temperature():
    student, teacher = torch.randn(2, 7, 5)
    theirs = F.kl_div(
        (student / 3).log_softmax(-1), (teacher / 3).log_softmax(-1), log_target=True, reduction="batchmean"
    )
    torch.testing.assert_close(soft_loss(student, teacher, 3.0), 9 * theirs)


def test_the_gradient_keeps_its_size_at_every_temperature():
    sizes = []
    for temperature in (1.0, 5.0, 50.0):
        student, teacher = torch.randn(2, 200, 4, generator=torch.Generator().manual_seed(0)) / 4
        student.requires_grad_()
        soft_loss(student, teacher, temperature).backward()
        sizes.append(float(student.grad.norm()))
    assert max(sizes) < 1.2 * min(sizes)
    # and in the limit it is the distance of the centred logits, over the classes (Hinton et al. 2015)
    gap = (student - student.mean(1, keepdim=True) - teacher + teacher.mean(1, keepdim=True)).detach()
    torch.testing.assert_close(student.grad, gap / 4 / 200, rtol=0.05, atol=1e-5)


def test_padding_has_no_part_in_the_hidden_loss():
    ours, theirs = torch.randn(2, 3, 5, 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    expected = torch.cat([(ours - theirs)[row, :length] for row, length in enumerate((5, 2, 1))]).square().mean()
    torch.testing.assert_close(hidden_loss(ours, theirs, mask), expected)
    ours[1, 3] = 100
    torch.testing.assert_close(hidden_loss(ours, theirs, mask), expected)


@pytest.mark.parametrize("family", ["modernbert", "bert"])
@pytest.mark.parametrize("kind", ["layers", "narrow"])
def test_a_student_comes_nearer_to_its_teacher_without_labels(family, kind):
    teacher = classifier(family)
    before = copy.deepcopy(teacher.state_dict())
    student = student_of(teacher, [0, 2]) if kind == "layers" else narrow_student(teacher, **NARROW)
    batch = batches(30, 4096)[0]

    def gap():
        return float(soft_loss(logits(student, batch), logits(teacher, batch), 1.0))

    first = gap()
    taught(student, teacher, steps=100, soft=1.0, hidden=0.1)
    student.eval()
    assert gap() < 0.7 * first
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_the_loss_of_a_step_is_the_sum_of_its_parts():
    teacher = classifier()
    student = student_of(teacher, [0, 2])
    batch = batches(60, 256)
    from largemodels.compression.distillation import _Lesson

    lesson = _Lesson(student.eval(), teacher, 2.0, 0.3, 0.5)
    one = batch[0]
    inputs = {name: one[name] for name in ("input_ids", "attention_mask")}
    ours, theirs = (model(**inputs, output_hidden_states=True) for model in (student, teacher))
    hard = F.cross_entropy(ours.logits, one["labels"])
    pairs = ((1, 2), (2, 3))  # one and a half layers up is rounded to the even one
    hidden = sum(hidden_loss(ours.hidden_states[a], theirs.hidden_states[b], one["attention_mask"]) for a, b in pairs)
    expected = 0.7 * hard + 0.3 * soft_loss(ours.logits, theirs.logits, 2.0) + 0.5 * hidden / 2
    torch.testing.assert_close(lesson(**one)["loss"], expected)


def test_with_labels_alone_a_student_learns_them():
    teacher = classifier()
    student = student_of(teacher, [0])
    history = taught(student, teacher, soft=0.0, steps=150, rows=120)
    assert history.loss.iloc[-10:].mean() < 0.5 * history.loss.iloc[:5].mean()
    answers = predict(student, tokenizer(), examples(120), max_length=32).argmax(1)
    assert (answers == examples(120).label).mean() > 0.9


def test_the_same_seed_gives_the_same_student():
    teacher = classifier()
    students = [student_of(teacher, [0, 2]) for _ in range(2)]
    for student in students:
        torch.rand(3)  # whatever else has drawn
        taught(student, teacher, steps=5, hidden=1.0)
    ours, theirs = (student.state_dict() for student in students)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_student_of_layers_begins_as_its_teacher_does():
    teacher = classifier()
    student = student_of(teacher, [0, 2])
    assert torch.equal(blocks_of(student)[1].attn.Wqkv.weight, blocks_of(teacher)[2].attn.Wqkv.weight)
    assert len(blocks_of(teacher)) == 3
    assert teacher.config.num_hidden_layers == 3


def test_what_is_no_student_is_refused():
    teacher = classifier()
    with pytest.raises(InputError, match="a student is smaller than its teacher"):
        student_of(teacher, [0, 1, 2])
    with pytest.raises(InputError, match="a student is smaller than its teacher"):
        narrow_student(teacher, **NARROW | {"hidden_size": 64})
    with pytest.raises(InputError, match="a student is smaller than its teacher"):
        taught(copy.deepcopy(teacher), teacher)
    with pytest.raises(InputError, match="num_heads"):
        narrow_student(teacher, **NARROW | {"num_heads": 3})
    check_smaller(narrow_student(teacher, **NARROW), teacher)


def test_a_lesson_that_makes_no_sense_is_refused():
    teacher = classifier()
    student = student_of(teacher, [0])
    for options in ({"temperature": 0.0}, {"soft": 1.5}, {"hidden": -1.0}):
        with pytest.raises(InputError, match="|".join(options)):
            taught(student, teacher, steps=2, **options)
    student.config.id2label = {0: "no", 1: "yes"}
    with pytest.raises(InputError, match="classes"):
        taught(student, teacher)
