"""Which files of a folder or a repository are data, which split each of them is, and what a data set's card says.

`largemodels.data.sources` reads the files that are chosen here. The card is the metadata that the README of a data set
on the Hub opens with: its configurations, the files of each, and the names of labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from largemodels.base.errors import InputError
from largemodels.data.hub import HubId

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
TEXT = ".txt"
SUFFIXES = (*TABLES, TEXT)
FORMS = ", ".join(SUFFIXES)
_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
UNREAD = re.compile(r"(readme|licen[cs]e|notice|changelog|requirements)\b", re.IGNORECASE)
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves


class SourceError(InputError):
    """Data that cannot be read, with what was given and what to do in one sentence."""


def split_in(path: str) -> str | None:
    """Return "train", "validation" or "test" where a word of a file's name says so, and None where none does."""
    for word in reversed(re.findall(r"[a-z]+", path.lower())):
        if word in _SPLITS:
            return _SPLITS[word]
    return None


def read_card(path: Path) -> dict[str, Any]:
    """Return the metadata that a data set's README opens with; nothing where there are none."""
    import yaml

    match = re.match(r"---\s*\n(.*?)\n---", path.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    try:
        card = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError:
        card = {}
    return card if isinstance(card, dict) else {}


def chosen_files(
    found: HubId, names: Sequence[str], card: dict[str, Any]
) -> tuple[str | None, list[tuple[str, str | None]]]:
    """Return the configuration and its files with their splits, as the card or else the files' names tell.

    Raises:
        SourceError: where no file can be read, or the configuration is unknown or has to be named.
    """
    readable = [name for name in names if name.lower().endswith(SUFFIXES) and _is_data(name)]
    if not readable:
        code = any(name.endswith(".py") for name in names)
        remedy = "; the Hub may have it as Parquet: add @refs/convert/parquet" if code else ""
        holds = "is a program, and no program of others is run" if code else f"holds no file of a known kind ({FORMS})"
        raise SourceError(f"{found}: the data set {holds}{remedy}")
    configs = {str(c.get("config_name", "default")): c for c in card.get("configs") or () if isinstance(c, dict)}
    if configs:
        config = _chosen_config(found, configs)
        chosen = list(_card_files(configs[config], readable))
        if not chosen:
            raise SourceError(f"{found}: the card names no file that is there for the configuration {config}")
        return config, chosen
    folders = sorted({name.partition("/")[0] for name in readable if "/" in name} - {"data", *_SPLITS})
    if found.config or len(folders) > 1:
        config = _chosen_config(found, {folder: {} for folder in folders})
        readable = [name for name in readable if name.startswith(f"{config}/")]
    return found.config, [(name, split_in(name)) for name in readable]


def _is_data(name: str) -> bool:
    file = name.rpartition("/")[2]
    return not (UNREAD.match(file) or file.startswith(".") or file in ("dataset_infos.json", *SAVED))


def _chosen_config(found: HubId, configs: dict[str, dict[str, Any]]) -> str:
    """Return the configuration that was asked for, the card's default, or the only one."""
    if found.config:
        if found.config in configs:
            return found.config
        there = f"there is {', '.join(configs)}" if configs else "it has none"
        raise SourceError(f"{found}: there is no configuration {found.config}; {there}")
    default = [name for name, config in configs.items() if config.get("default") or name == "default"]
    if len(configs) == 1 or default:
        return (default or list(configs))[0]
    raise SourceError(f"{found}: which configuration? add one of {', '.join(configs)} behind a colon")


def _card_files(config: dict[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the files that a configuration of a card names, with their splits."""
    entries = config.get("data_files") or [{"path": f"{config.get('data_dir') or ''}*"}]
    for entry in [entries] if isinstance(entries, (str, dict)) else entries:
        entry = {"path": entry} if isinstance(entry, str) else entry
        patterns = entry.get("path", ())
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            for name in names:
                if fnmatch(name, pattern.removeprefix("./")):
                    split = str(entry.get("split") or "")
                    yield name, split_in(split) or split or split_in(name)


def label_names(card: dict[str, Any], config: str | None) -> dict[str, tuple[str, ...]]:
    """Return the label names that a card gives for the columns of a configuration."""
    infos = card.get("dataset_info") or []
    found: dict[str, tuple[str, ...]] = {}
    for info in [infos] if isinstance(infos, dict) else infos:
        if len(infos) > 1 and isinstance(infos, list) and info.get("config_name", "default") != (config or "default"):
            continue
        for feature in _dicts(info.get("features")):
            for kind in _dicts([feature.get("dtype")]):
                if names := kind.get("class_label", {}).get("names"):  # {"0": "negative", …}
                    found[feature["name"]] = tuple(names[key] for key in sorted(names, key=int))
    return found


def _dicts(items: Iterable[Any] | None) -> list[dict]:
    return [item for item in items or () if isinstance(item, dict)]
