"""What models answered in runs, example by example: read from their folders, and collected for a recorded result.

The format is `largemodels.data.predictions`. Files in another form are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.errors import RequestError
from workbench.parameters import content
from workbench.runs.store import Run


def tables_of(run: Run) -> tuple[dict[str, Any], list[str]]:
    """A run's tables of predictions, by the names of their files, and a sentence on each file that holds none."""
    folder = run.folder / "predictions"
    tables, sentences = {}, []
    for file in [] if folder.is_symlink() else sorted(folder.glob("*.parquet")):
        try:
            if file.is_symlink():
                raise ValueError(f"{file}: it is a link, and links are not followed")
            tables[file.stem] = content.predictions().read_predictions(file)
        except (OSError, ValueError) as error:
            sentences.append(str(error).replace(f"{run.folder.parent}/", ""))
    return tables, sentences


def collected(runs: Sequence[Run], names: Sequence[str], public: dict[str, str]) -> bytes:
    """The predictions of all these runs as one Parquet file.

    In front stand the parameters that tell the runs apart, and the name of the file where there are several.

    Args:
        runs: completed ones of one chapter.
        names: those parameters. One that is called as a column of predictions becomes `parameter_NAME`.
        public: what stands for a local file or folder, by parameter.

    Raises:
        RequestError: where a run has no predictions.
    """
    import pandas as pd

    kept = [tables_of(run) for run in runs]
    if empty := [place for place, (tables, _) in enumerate(kept) if not tables]:
        said = "; ".join(kept[empty[0]][1])
        which = runs[empty[0]].id if len(runs) == 1 else f"{len(empty)} of these {len(runs)} runs"
        raise RequestError(f"{which} kept no predictions{f' ({said})' if said else ''}")
    taken = {"file"}.union(*(table.columns for tables, _ in kept for table in tables.values()))
    files = {file for tables, _ in kept for file in tables}
    parts = []
    for run, (tables, _) in zip(runs, kept, strict=True):
        values = run.record["parameters"]["resolved"]
        front = {
            f"parameter_{name}" if name in taken else name: public.get(name, _plain(values[name]))
            for name in names
            if name in values  # a run may be older than a parameter
        }
        for file, table in tables.items():
            part = _without_paths(content.predictions().without_more(table), values, public)
            first = front | ({"file": file} if len(files) > 1 else {})
            parts.append(pd.concat([pd.DataFrame(first, index=part.index), part], axis=1))
    return pd.concat(parts, ignore_index=True).to_parquet(index=False, compression="zstd")


def _plain(value: Any) -> Any:
    """A parameter's value as a column has it: a list is text, as on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _without_paths(table: Any, values: dict[str, Any], public: dict[str, str]) -> Any:
    """The table with public names where a model is called by its path on this machine."""
    for parameter, name in public.items():
        value = values[parameter]
        for path in value if isinstance(value, list) else [value]:
            if Path(path).is_absolute():
                table = table.assign(model=table["model"].astype(str).str.replace(path, name, regex=False))
    return table
