"""Energy and carbon of a computation, from watts, hours and stated intensities; nothing is looked up or guessed.

Units: kilowatt hours of energy, kilograms of CO₂ equivalents. An intensity in grams a kilowatt hour is the same number
in kilograms a megawatt hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from largemodels.base.errors import InputError

POUND = 0.45359237
"""Kilograms."""
HOUR = 3600
"""Seconds."""


@dataclass(frozen=True)
class Consumption:
    """Machines that ran for some hours.

    Attributes:
        watts: drawn by all machines together.
        hours: that they ran.
        overhead: energy of the building for each unit of theirs, at least 1 (power usage effectiveness).

    Examples:
        >>> gpus = Consumption(watts=8 * 400, hours=10, overhead=1.1)
        >>> print(f"{gpus.kilowatt_hours:.1f} kWh, {gpus.kilograms(400):.1f} kg")
        35.2 kWh, 14.1 kg
    """

    watts: float
    hours: float
    overhead: float = 1.0

    def __post_init__(self) -> None:
        for name in ("watts", "hours"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: {getattr(self, name)} is not above 0")
        if self.overhead < 1:
            raise InputError(f"overhead: {self.overhead} is less than 1, the machines' own energy")

    @property
    def kilowatt_hours(self) -> float:
        """The energy, with what the building adds."""
        return self.watts * self.hours * self.overhead / 1000

    def kilograms(self, grams_a_kilowatt_hour: float) -> float:
        """Kilograms of CO₂ equivalents, by the intensity of the electricity."""
        return self.kilowatt_hours * grams_a_kilowatt_hour / 1000


def consumption_of(flops: float, flops_a_second: float, watts: float, overhead: float = 1.0) -> Consumption:
    """The consumption of so many operations on devices that do so many a second each, and draw so many watts each.

    How many devices share the work does not matter, as long as that changes nothing about their rate.
    """
    return Consumption(watts, flops / flops_a_second / HOUR, overhead)


RECORDED = Path(__file__).with_name("recorded_seconds.csv")
"""What `recorded_seconds` gave of the results that are kept with the book."""


def recorded_seconds(folder: Path) -> pd.Series:
    """The seconds that the runs of each recorded result took, by its name, from the tables in `book/recorded`.

    A result's runs each write their seconds beside every number. `recorded_seconds(Path("book/recorded"))` with
    `.to_csv(RECORDED)` makes the file anew.
    """
    tables = {
        file.parent.name: pd.read_parquet(file, columns=["run", "seconds"]) for file in folder.glob("*/results.parquet")
    }
    seconds = {name: table.drop_duplicates("run")["seconds"].sum() for name, table in sorted(tables.items())}
    return pd.Series(seconds, name="seconds").rename_axis("result").round().astype(int)
