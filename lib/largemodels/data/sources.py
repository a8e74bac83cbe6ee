"""The data that a name stands for: files, folders, what `save_to_disk` wrote, and data sets of the Hub.

A name is resolved to files, each file becomes a `Part`: a table (`largemodels.data.tables`) with the split that its
name tells. What the columns mean is decided above, in `largemodels.data.corpora` and `largemodels.data.tasks`. Heavy
imports stand inside functions, because the command line looks at names and fingerprints.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from largemodels.base.cache import Progress
from largemodels.base.errors import InputError
from largemodels.base.files import check_readable, is_here, read_object, reading, sha256
from largemodels.data import hub
from largemodels.data.packed import read_text
from largemodels.data.tables import FORMS, SUFFIXES, TABLES, TEXT, kind_of, read_table, stem_of

if TYPE_CHECKING:
    import datasets
    import pandas as pd

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
_CLASS = "name of the file or folder"  # the column for a class that a file or folder is named by
_CARD = "README.md"
_BESIDE_DATA = re.compile(r"(readme|licen[cs]e|notice|changelog|requirements)\b", re.IGNORECASE)
_SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves
_DESCRIBED = ("dataset_info.json", "state.json")  # what describes each split of it


@dataclass(frozen=True)
class Part:
    """The rows of one file, or of one folder of files of a text each."""

    stem: str  # of the file's name
    split: str | None  # that its name or a card tells
    frame: pd.DataFrame
    label_names: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of the classes, by column
    file: str = ""  # its name, or the split's in a folder of `save_to_disk`
    files: tuple[str, ...] = ()  # of each row, where every row is a file


def hub_id(name: str | os.PathLike[str]) -> hub.HubId | None:
    """The parts of a name that means data on the Hub, and None for any other; the Hub is not asked.

    That is `organisation/name[:config][@revision]`, or an old data set with its configuration (`glue:sst2`). A bare
    name is more likely a misspelt shipped one; and what exists here, or ends like a data file, is a file.
    """
    text = str(name)
    parsed = hub.parse(text)
    if parsed is None or not ("/" in parsed.repository or parsed.config):
        return None
    if parsed.repository.lower().endswith((*SUFFIXES, ".zip")) or is_here(text):
        return None
    return parsed


def fingerprint(name: str | os.PathLike[str]) -> str:
    """What changes when the data do: a hexadecimal SHA-256 of the files' names and bytes; for the Hub `id@commit`.

    Raises:
        InputError: for what is missing or cannot be read, or what only the Hub could show.
    """
    if repository := hub_id(name):
        return str(repository.at(hub.commit_of("dataset", repository)))
    path, digest = Path(name).expanduser(), hashlib.sha256()
    for file in local_files(name):
        label = file.relative_to(path) if file != path else file.name
        digest.update(f"{label}\0{sha256(file, f'{file}:')}\n".encode())
    return digest.hexdigest()


def prepare(name: str | os.PathLike[str], progress: Progress | None = None) -> None:
    """Download what `read` would need, and refuse what it would refuse of the Hub. Local data need nothing."""
    if repository := hub_id(name):
        _downloaded(repository, progress)


def read(name: str | os.PathLike[str], progress: Progress | None = None) -> list[Part]:
    """The rows of a local file, a folder of files or of `save_to_disk`, or a Hub data set, a part per file.

    Raises:
        InputError: for what is missing, cannot be read (see `tables.read_table`), or what the Hub does not give.
    """
    if repository := hub_id(name):
        stem = repository.repository.rpartition("/")[2]
        files, names = _downloaded(repository, progress)
        return [
            Part(stem, split, read_table(path), {**names, **_label_names(path)}, path.name) for path, split in files
        ]
    files, path = local_files(name), Path(name).expanduser()
    if _is_saved(path):
        return _saved_parts(path)
    if path.is_dir() and files[0].parent != path:
        return _class_parts(path, files)
    alone = len(files) == 1  # "train.csv" for itself is everything there is
    return [
        Part(stem, None if alone else split_in(stem), read_table(file), _label_names(file), file.name)
        for file, stem in ((file, stem_of(file)) for file in files)
    ]


def by_class(parts: list[Part], name: str | os.PathLike[str]) -> list[Part]:
    """The parts; several files of one column, none of which is named by a split, with their names as classes."""
    if len(parts) == 1 or any(part.split or len(part.frame.columns) > 1 for part in parts):
        return parts
    if folders := _class_files(Path(name).expanduser()):
        raise InputError(f"{name}: are its files the classes, or folders such as {folders[0].parent}? leave one kind")
    return [replace(part, frame=part.frame.assign(**{_CLASS: part.stem})) for part in parts]


def split_in(path: str) -> str | None:
    """The split, "train", "validation" or "test", that a word of a file's name says; None where none does."""
    words = reversed(re.findall(r"[a-z]+", path.lower()))
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


# Local files


def local_files(name: str | os.PathLike[str]) -> list[Path]:
    """The files that a local name stands for: itself, those of a folder or its classes' folders, or of `save_to_disk`.

    Raises:
        InputError: for files of no known kind, or one that is no file or may not be read.
    """
    path = Path(name).expanduser()
    with reading(f"{name}:"):
        if _is_saved(path):
            files = _saved_files(path)
        elif path.is_dir():
            files = _data_files(path)
        elif path.name.lower().endswith((*SUFFIXES, ".zip")):
            files = [path]
        else:
            suffix = f" ({path.suffix})" if path.suffix else ""
            raise InputError(f"{name}: not a file of a known kind{suffix}; what is read is {FORMS}")
    for file in files:
        check_readable(file, f"{file}:")
    return files


def _data_files(path: Path) -> list[Path]:
    """The files of one kind directly in a folder, or else the text files of folders named by class."""
    files = [file for file in sorted(path.iterdir()) if _is_data(file.name)] or _class_files(path)
    kinds = sorted(set(map(kind_of, files)))
    if not files:
        raise InputError(f"{path}: the folder holds no {TEXT} file and no table ({', '.join(TABLES)})")
    if len(kinds) > 1:
        raise InputError(f"{path}: the folder holds files of several kinds ({', '.join(kinds)}); name one of them")
    return files


def _class_files(path: Path) -> list[Path]:
    """The text files of folders named by class, which may stand in folders named by split."""
    folders = sorted(path.glob("[!.]*/"))
    if any(split_in(folder.name) for folder in folders):
        folders = [inner for folder in folders if split_in(folder.name) for inner in sorted(folder.glob("[!.]*/"))]
    classes = [folder for folder in folders if not folder.name.startswith(("unsup", "unlab"))]
    files = (file for folder in classes for file in sorted(folder.iterdir()))
    return [file for file in files if file.suffix == TEXT and _is_data(file.name)]


def _class_parts(path: Path, files: Sequence[Path]) -> list[Part]:
    """A part for each folder of `_class_files`, where every file is a text."""
    import pandas as pd

    parts = []
    for folder, grouped in groupby(files, key=lambda file: file.parent):
        inside = list(grouped)
        frame = pd.DataFrame({"text": [read_text(file).strip() for file in inside], _CLASS: folder.name}, dtype=object)
        names = tuple(str(file.relative_to(path)) for file in inside)
        parts.append(Part(folder.name, split_in(str(folder.relative_to(path).parent)), frame, files=names))
    return parts


def _is_data(file: str) -> bool:
    beside = _BESIDE_DATA.match(file) or file.startswith(".") or file in ("dataset_infos.json", *_SAVED)
    return file.lower().endswith(SUFFIXES) and not beside


def _is_saved(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in _SAVED)


def _saved_files(path: Path) -> list[Path]:
    """The files that `load_from_disk` reads from a folder of `save_to_disk`, sorted; none of them is outside of it."""
    index, files = path / "dataset_dict.json", []
    try:
        if all((path / name).is_file() for name in _DESCRIBED):
            folders = [path]
        else:
            folders, files = [path / _name(split) for split in read_object(index, f"{index}:")["splits"]], [index]
        if not folders:
            raise KeyError("splits")
        for folder in folders:
            _, state = (read_object(folder / name, f"{folder / name}:") for name in _DESCRIBED)
            names = [*_DESCRIBED, *(_name(described["filename"]) for described in state["_data_files"])]
            files += [folder / name for name in names]
    except (KeyError, TypeError):
        raise InputError(f"{path}: cannot be read (not as save_to_disk writes it)") from None
    return sorted(files)


def _name(name: Any) -> str:
    """The name of a file or folder; a TypeError where it is none, or leads into another folder."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name:
        raise TypeError(f"{name!r} is no name of a file")
    return name


def _saved_parts(path: Path) -> list[Part]:
    """The splits of a folder that `save_to_disk` wrote."""
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # a damaged file fails in whatever part of the reader comes to it first
        raise InputError(f"{path}: cannot be read as a folder of save_to_disk ({type(error).__name__})") from None
    splits = loaded if isinstance(loaded, dict) else {"": loaded}
    return [
        Part(path.name, split_in(split) or split or None, dataset.to_pandas(), _classes(dataset.features), split)
        for split, dataset in splits.items()
    ]


def _label_names(path: Path) -> dict[str, tuple[str, ...]]:
    """The names of the classes by column, which `datasets` writes into the Parquet files that it makes."""
    import datasets
    import pyarrow.parquet as pq

    if path.suffix.lower() == ".parquet":
        with contextlib.suppress(Exception):  # the description may have been written by something else
            return _classes(datasets.Features.from_arrow_schema(pq.read_schema(path)))
    return {}


def _classes(features: datasets.Features) -> dict[str, tuple[str, ...]]:
    import datasets

    return {
        column: tuple(feature.names) for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)
    }


# Data sets of the Hub


def _downloaded(
    repository: hub.HubId, progress: Progress | None
) -> tuple[list[tuple[Path, str | None]], dict[str, tuple[str, ...]]]:
    """The local files of a Hub data set with their splits, and the label names that its card gives."""
    names = list(hub.files("dataset", repository))
    card = _card(hub.download("dataset", repository, [_CARD])[_CARD]) if _CARD in names else {}
    config, chosen = _chosen_files(repository, names, card)
    paths = hub.download("dataset", repository, [name for name, _ in chosen], progress)
    return [(paths[name], split) for name, split in chosen], _card_classes(card, config)


def _card(path: Path) -> dict[str, Any]:
    """The metadata that a data set's README opens with; nothing where there are none, or none that can be read."""
    import yaml
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    class Loader(yaml.SafeLoader):
        aliases = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.aliases += self.check_event(yaml.AliasEvent)
            if self.aliases > 32:  # of aliases of aliases, ninety stand for a billion values
                raise yaml.YAMLError("too many aliases")
            return super().compose_node(parent, index)

    try:
        check_readable(path, f"{path}:", 4 * 2**20)
        block = REGEX_YAML_BLOCK.search(path.read_text(encoding="utf-8-sig"))
        metadata = yaml.load(block[2], Loader) if block else None
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _chosen_files(
    repository: hub.HubId, names: Sequence[str], card: dict[str, Any]
) -> tuple[str | None, list[tuple[str, str | None]]]:
    """The configuration and its files with their splits, as the card or else the files' names tell."""
    from datasets.utils.metadata import MetadataConfigs

    readable = [name for name in names if _is_data(name.rpartition("/")[2])]
    if not readable:
        code = any(name.endswith(".py") for name in names)
        remedy = "; the Hub may have it as Parquet: add @refs/convert/parquet" if code else ""
        holds = "is a program, and no program of others is run" if code else f"holds no file of a known kind ({FORMS})"
        raise InputError(f"{repository}: the data set {holds}{remedy}")
    try:
        configs = MetadataConfigs.from_dataset_card_data(card)
        default = None if repository.config else configs.get_default_config_name()
    except (ValueError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"{repository}: the configurations in its card cannot be read ({reason})") from None
    if configs:
        by_name = {str(config): settings for config, settings in configs.items()}  # YAML has numbers too
        config = _chosen_config(repository, list(by_name), default)
        chosen = list(_card_files(by_name[config], readable))
        if not chosen:
            raise InputError(f"{repository}: the card names no file that is there for the configuration {config}")
        return config, chosen
    folders = sorted({name.partition("/")[0] for name in readable if "/" in name} - {"data", *_SPLITS})
    if repository.config or len(folders) > 1:
        config = _chosen_config(repository, folders, "default" if "default" in folders else None)
        readable = [name for name in readable if name.startswith(f"{config}/")]
    return repository.config, [(name, split_in(name) or name) for name in readable]


def _chosen_config(repository: hub.HubId, configs: Sequence[str], default: str | None) -> str:
    """The configuration that the id names, or the default."""
    if config := repository.config or default:
        if str(config) in configs:
            return str(config)
        there = f"there is {', '.join(configs)}" if configs else "it has none"
        raise InputError(f"{repository}: there is no configuration {config}; {there}")
    raise InputError(f"{repository}: which configuration? add one of {', '.join(configs)} behind a colon")


def _card_files(config: dict[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The files that a configuration of a card names, with their splits."""
    entries = config.get("data_files") or f"{config.get('data_dir') or ''}*"
    for entry in [entries] if isinstance(entries, str) else entries:
        split, patterns = ("", entry) if isinstance(entry, str) else (entry["split"], entry["path"])
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            for name in names:
                if fnmatch(name, pattern.removeprefix("./")):
                    yield name, split_in(split) or split or split_in(name) or name


def _card_classes(card: dict[str, Any], config: str | None) -> dict[str, tuple[str, ...]]:
    """The label names that a card gives for the columns of a configuration."""
    from datasets.info import DatasetInfosDict

    try:
        infos = DatasetInfosDict.from_dataset_card_data(card)
    except (AttributeError, KeyError, TypeError, ValueError):  # a description that this version does not know
        return {}
    info = infos.get(config or "default") or (next(iter(infos.values())) if len(infos) == 1 else None)
    return _classes(info.features) if info and info.features else {}
