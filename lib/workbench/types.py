"""The types that a parameters cell annotates with; `workbench.parameters.types` defines them."""

from workbench.parameters.types import Count, Dataset, Fraction, Literal, Model, Predictions, Rate, Seed

__all__ = ["Count", "Dataset", "Fraction", "Literal", "Model", "Predictions", "Rate", "Seed"]
