"""The loss as a function of parameters and tokens, and the sizes that make the best of some compute.

Hoffmann et al. (2022) fitted the function to four hundred models; Besiroglu et al. (2024) fitted it again. What it
recommends has a closed form, in which a third digit of an exponent is worth billions of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from largemodels.base.errors import InputError

FLOPS_A_TOKEN = 6
"""Floating-point operations of training, for each parameter and token: two forward, four backward."""
REUSE = 15.39
"""Repetitions over which a text loses its worth, R* of Muennighoff et al. (2023)."""


class Allocation(NamedTuple):
    """How some compute is spent: parameters of the model, and tokens that it reads."""

    parameters: float
    tokens: float


@dataclass(frozen=True)
class LossLaw:
    """The loss E + A / N^α + B / D^β of a model with N parameters that has read D tokens, in nats a token.

    Attributes:
        irreducible: E, the entropy of the text.
        size_coefficient: A.
        data_coefficient: B.
        size_exponent: α.
        data_exponent: β.

    Examples:
        >>> print(f"{HOFFMANN_ROUNDED(70e9, 1.4e12):.2f}")
        1.94
    """

    irreducible: float
    size_coefficient: float
    data_coefficient: float
    size_exponent: float
    data_exponent: float

    def __call__(self, parameters: ArrayLike, tokens: ArrayLike) -> np.ndarray:
        """The losses of models, in the shape that the two arguments have together."""
        parameters, tokens = np.asarray(parameters, dtype=float), np.asarray(tokens, dtype=float)
        of_size = self.size_coefficient * parameters**-self.size_exponent
        return self.irreducible + of_size + self.data_coefficient * tokens**-self.data_exponent

    def optimum(self, flops: float) -> Allocation:
        """The parameters and tokens of the least loss under 6 · N · D = `flops` (Hoffmann et al. 2022, equation 4).

        Raises:
            InputError: for compute that is not above 0.
        """
        if not flops > 0:
            raise InputError(f"flops: {flops} is not above 0")
        alpha, beta = self.size_exponent, self.data_exponent
        both = flops / FLOPS_A_TOKEN  # N · D
        balance = (alpha * self.size_coefficient / (beta * self.data_coefficient)) ** (1 / (alpha + beta))
        return Allocation(balance * both ** (beta / (alpha + beta)), both ** (alpha / (alpha + beta)) / balance)


HOFFMANN_ROUNDED = LossLaw(1.69, 406.4, 410.7, 0.34, 0.28)
"""As Hoffmann et al. (2022) print it."""
HOFFMANN = LossLaw(1.6934, 406.4, 410.7, 0.3392, 0.2849)
"""The same with the digits that stand in the source of their paper (Besiroglu et al. 2024)."""
BESIROGLU = LossLaw(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
"""Fitted again to the points of their figure by Besiroglu et al. (2024)."""


def effective_tokens(unique: ArrayLike, passes: ArrayLike, *, reuse: float = REUSE) -> np.ndarray:
    """What a text is worth that is read several times, in tokens that are read once (Muennighoff et al. 2023).

    D' = U + U R* (1 − e^(−R / R*)), where R is the number of repetitions, one less than the passes: each is worth less
    than the one before, and all of them together no more than R* texts.

    Args:
        unique: U, the tokens of the text.
        passes: how often it is read; a part of a pass reads a part of the text.
        reuse: R*.

    Raises:
        InputError: for a text or a number of passes that is not above 0.

    Examples:
        >>> effective_tokens(1000, [1, 4, 40]).round().tolist()
        [1000.0, 3726.0, 15169.0]
    """
    unique, passes = np.asarray(unique, dtype=float), np.asarray(passes, dtype=float)
    if not ((unique > 0).all() and (passes > 0).all() and reuse > 0):
        raise InputError("unique, passes and reuse: each has to be above 0")
    repetitions = np.maximum(passes - 1, 0)
    return unique * (np.minimum(passes, 1) + reuse * -np.expm1(-repetitions / reuse))
