"""`workbench evaluate`: what models answered, judged alone, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli import shared
from workbench.cli.shared import Json, print_json
from workbench.core.errors import RequestError, RunError, sentences_of
from workbench.core.project import find_project
from workbench.parameters import content
from workbench.runs.predictions import tables_of
from workbench.runs.store import run_with


def evaluate(
    name: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN",
            help="Predictions (*.parquet), or a run, chapter or recorded result that has some.",
            autocompletion=shared.names_to_show,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Judge what models answered: accuracy, macro F1, each class, and every pair of models.

    Nothing is trained and no chapter is run. Predictions are a table with a row for each model and example, and the
    columns model, example, label, answer and right; a column document tells which examples belong together. Of several
    seeds the first counts. Intervals are 95%.

    **Examples**

        workbench evaluate answers.parquet
        workbench evaluate fine-tuning --json
    """
    tables = _tables(name)
    with sentences_of(ValueError, end=RunError):
        results = {file: _judged(table) for file, table in tables.items()}
    if as_json:
        print_json([{"file": file} | _as_json(result) for file, result in results.items()])
        return
    from workbench.cli.tables import print_evaluation

    for file, result in results.items():
        print_evaluation(file, result)


def _tables(name: str) -> dict[str, Any]:
    """The tables of predictions that are meant, by the names of their files."""
    project = find_project()
    with sentences_of(ValueError):
        here = content.is_here(name)
    recorded = project.recorded_predictions()
    if name in recorded or (here and name not in project.chapters()):
        path = recorded.get(name) or Path(name).expanduser()
        path = path / "predictions" if (path / "predictions").is_dir() else path
        with sentences_of(ValueError, end=RunError):
            return {name: content.predictions().read_predictions(path)}
    if name.endswith(".parquet"):
        raise RequestError(f"there is no file {name}")
    run = run_with(project, name, "predictions")
    tables, sentences = tables_of(run)
    if not tables:
        raise RequestError(*(sentences or [f"{run.id} kept no predictions"]))
    return tables


def _judged(table: Any) -> dict[str, Any]:
    """The tables of the models, of each model's classes, and of the pairs."""
    report, pairs = content.reports(), content.pairs()
    table = pairs.judged(table, models=1, probabilities=False)
    classes = pairs.classes_of(table)
    models = report.model_table(table, classes)
    by_class = {model: report.class_table(table, model, classes) for model in models["model"]}
    return {"models": models, "classes": by_class, "pairs": report.pair_table(table)}


def _as_json(result: dict[str, Any]) -> dict[str, Any]:
    def rows(table: Any) -> list[dict[str, Any]]:
        return table.astype(object).where(table.notna(), None).to_dict("records")

    classes = {model: rows(table) for model, table in result["classes"].items()}
    return {
        "models": [row | {"classes": classes[row["model"]]} for row in rows(result["models"])],
        "pairs": rows(result["pairs"]),
    }
