"""Costs: the counts are exact, and the timing keeps one value per repetition."""

import torch

from largemodels.attention.layers import attention
from largemodels.models.cost import count_flops, count_saved_bytes, time_calls


def test_the_flops_of_attention_are_two_products_of_the_length_squared():
    query, value = torch.zeros(3, 10, 4), torch.zeros(3, 10, 6)
    assert count_flops(lambda: attention(query, query, value)) == 2 * 3 * 10 * 10 * (4 + 6)


def test_saved_bytes_count_each_tensor_once():
    x = torch.ones(5, requires_grad=True)
    assert count_saved_bytes(lambda: x * x) == 20
    assert count_saved_bytes(lambda: x + x) == 0  # a sum needs nothing for its backward pass


def test_saved_bytes_of_tensors_that_live_and_die_within_the_call_are_not_mixed_up():
    def chain(length):
        x = torch.ones(1000, requires_grad=True)
        for _ in range(length):
            x = x.exp()

    assert count_saved_bytes(lambda: chain(3)) == 3 * 4000


def test_calls_take_turns_and_the_first_is_not_counted():
    order = []
    seconds = time_calls({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repetitions=2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}
