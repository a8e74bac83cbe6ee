"""Running a real chapter with what it cannot use, for the tests of its refusals."""

from __future__ import annotations

import json
import shutil


def refused_by(chapter, trained, project, workbench, root, recorded=()):
    """A function that runs the chapter with some parameters, and returns the exit code and the one sentence said.

    It holds that nothing was trained: the cell named `trained` was not run. `recorded` names the results that are
    defaults of the chapter's parameters; they have to exist for a request to be read.
    """
    for name in recorded:
        shutil.copytree(root / "book/recorded" / name, project.root / "book/recorded" / name)
    shutil.copy(root / "notebooks" / f"{chapter}.ipynb", project.root / "notebooks")

    def run(**parameters):
        given = [part for name, value in parameters.items() for part in ("-p", f"{name}={value}")]
        done = workbench("run", chapter, *given)
        for path in project.runs.glob(f"{chapter}/*/{chapter}.ipynb"):
            cells = {cell["id"]: cell for cell in json.loads(path.read_text())["cells"]}
            assert not cells[trained]["outputs"], "nothing was trained"
        assert "Traceback" not in done.stderr
        (said,) = (line for line in done.stderr.splitlines() if line.startswith("workbench: "))
        return done.returncode, said

    return run
