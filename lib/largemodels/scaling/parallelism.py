"""What a training needs of each device when it is spread over many: memory, traffic, and time that is lost.

Three ways to divide a training multiply. Data parallelism gives each group of devices other texts, tensor parallelism
divides every matrix, and pipeline parallelism gives each stage some of the blocks. ZeRO divides among the copies of
data parallelism what each of them would hold alike (Rajbhandari et al. 2020). Everything here is arithmetic for an
ideal program; real ones need more. `scaling.parallelism_calculator` computes the same in a page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import get_args

from largemodels.base.errors import InputError
from largemodels.scaling.formulas import TransformerShape, parameters_of
from largemodels.scaling.memory import GRADIENT, OPTIMIZER, WEIGHT, Recomputed, block_activation_bytes


@dataclass(frozen=True)
class Layout:
    """How a training is spread over devices.

    Attributes:
        data: copies of the model that read other texts.
        tensor: devices that share each matrix; a divisor of the heads.
        pipeline: stages that share the blocks.
        zero: stage of ZeRO: 0 divides nothing, 1 the optimizer's numbers, 2 the gradients too, 3 the weights as well.
        sequences: texts in a micro-batch.
        micro_batches: that go through the pipeline in a step.
        recomputed: what the backward pass computes once more.
    """

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    zero: int = 0
    sequences: int = 1
    micro_batches: int = 1
    recomputed: Recomputed = "attention"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("zero", "recomputed") and value < 1:
                raise InputError(f"{field.name}: {value} is not at least 1")
        if self.zero not in range(4):
            raise InputError(f"zero: {self.zero} is not a stage from 0 to 3")
        if self.recomputed not in get_args(Recomputed):
            raise InputError(f"recomputed: {self.recomputed} is not one of {', '.join(get_args(Recomputed))}")

    @property
    def devices(self) -> int:
        """All of them."""
        return self.data * self.tensor * self.pipeline


@dataclass(frozen=True)
class Needs:
    """What a layout needs of a device of its first stage; bytes, except for the last.

    Attributes:
        states: weights, gradients and the optimizer's numbers; in ZeRO's third stage also a block's collected weights.
        activations: kept for the backward pass.
        data_traffic: sent in a step for the copies to agree, in ZeRO's third stage also to collect the weights.
        tensor_traffic: sent in a step to add up what divided matrices give.
        pipeline_traffic: sent in a step to the stages before and behind, by a stage that has both.
        bubble: share of the time in which a stage waits for the pipeline to fill and to drain.
    """

    states: float
    activations: float
    data_traffic: float
    tensor_traffic: float
    pipeline_traffic: float
    bubble: float

    @property
    def memory(self) -> float:
        """Bytes of states and activations."""
        return self.states + self.activations


def state_bytes(parameters: float, copies: int = 1, zero: int = 0) -> float:
    """The bytes of weights, gradients and optimizer on each of some copies: 16 a parameter, less what ZeRO divides."""
    divided = [copies if zero >= stage else 1 for stage in (3, 2, 1)]  # weights, gradients, optimizer
    return parameters * sum(size / by for size, by in zip((WEIGHT, GRADIENT, OPTIMIZER), divided, strict=True))


def bubble(stages: int, micro_batches: int) -> float:
    """The share of a step in which a stage waits: (p − 1) / (m + p − 1) (Huang et al. 2019)."""
    return (stages - 1) / (micro_batches + stages - 1)


def _ring(devices: int) -> float:
    """What each device of a ring sends to collect, or to add up in parts, a tensor: this share of it."""
    return (devices - 1) / devices


def needs(shape: TransformerShape, length: int, layout: Layout) -> Needs:
    """What a layout needs of each device, for texts of `length` tokens and 16-bit numbers on the wire.

    The blocks are taken to be divided as evenly as they can be, and the embedding with them. The first stage holds
    the activations of as many micro-batches as there are stages, and tensor parallelism divides all of them
    (Korthikanti et al. 2022). Logits, buffers and what a memory manager wastes are left out.

    Raises:
        InputError: for heads that cannot be shared among the devices, or more stages than blocks.
    """
    if shape.num_heads % layout.tensor:
        raise InputError(f"tensor: {layout.tensor} does not divide the {shape.num_heads} heads")
    if layout.pipeline > shape.num_layers:
        raise InputError(f"pipeline: {layout.pipeline} stages are more than the {shape.num_layers} blocks")
    parameters = parameters_of(shape) / (layout.tensor * layout.pipeline)
    blocks = math.ceil(shape.num_layers / layout.pipeline)
    tokens = layout.sequences * length  # of a micro-batch
    kept = blocks * block_activation_bytes(shape, length, recomputed=layout.recomputed)
    in_flight = tokens * min(layout.pipeline, layout.micro_batches) * kept
    if layout.recomputed == "blocks":  # the block that is just being computed again
        in_flight += tokens * block_activation_bytes(shape, length)
    m, stream = layout.micro_batches, tokens * shape.width * 2  # bytes of a micro-batch between two layers
    rounds = {0: 2, 1: 2, 2: m + 1, 3: 3 * m}[layout.zero]
    sums = (1 if shape.parallel else 2) * (3 if layout.recomputed == "blocks" else 2)  # of a block, there and back
    collected = WEIGHT * parameters / blocks if layout.zero == 3 and layout.data > 1 else 0
    return Needs(
        states=state_bytes(parameters, layout.data, layout.zero) + collected,
        activations=in_flight / layout.tensor,
        data_traffic=rounds * _ring(layout.data) * WEIGHT * parameters,
        tensor_traffic=m * blocks * sums * 2 * _ring(layout.tensor) * stream,
        pipeline_traffic=0 if layout.pipeline == 1 else m * 2 * stream / layout.tensor,
        bubble=bubble(layout.pipeline, m),
    )
