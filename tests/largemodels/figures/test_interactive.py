"""What a figure is made of is installed with the package."""

import tomllib
from pathlib import Path

import largemodels.figures

ROOT = Path(__file__).parents[3]


def test_scripts_styles_and_templates_are_package_data():
    package = Path(largemodels.figures.__file__).parents[1]
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["largemodels"]
    packaged = {path for pattern in patterns for path in package.glob(pattern)}
    beside = {path for path in (package / "figures").iterdir() if path.suffix in (".js", ".css", ".html", ".mplstyle")}
    assert len(beside) == 10
    assert beside <= packaged
