"""Where the checkout is."""

from __future__ import annotations

import pytest

from workbench.core.errors import RequestError
from workbench.core.project import find_project


def test_the_checkout_is_that_of_the_first_place_in_one_unless_the_environment_names_another(
    project, tmp_path_factory, monkeypatch
):
    outside = tmp_path_factory.mktemp("outside")
    assert find_project().root == project.root
    assert find_project(outside, project.notebooks).root == project.root
    with pytest.raises(RequestError, match=f"neither {outside} nor a folder above it"):
        find_project(outside, outside.parent)
    monkeypatch.setenv("WORKBENCH_ROOT", str(project.root / "notebooks"))
    assert find_project(outside).root == project.root
