"""A made-up executed chapter, as `workbench book` would stage it: one claim holds and one fails."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

RUN = {
    "run": "20260102T030405Z-0badcafe",
    "started": "2026-01-02T03:04:05Z",
    "seconds": 83.4,
    "parameters": {"d_k": 64, "source": "pydocs", "seed": 0, "learning_rate": 0.0005},
    "changed": ["d_k"],
    "machine": "Linux x86_64, 2 cores, no GPU",
    "python": "3.11.7",
    "commit": "abc1234",
}

INTRODUCTION = r"""# A toy chapter

It says what a marsupial wombat isCITED. Attention is $\mathrm{softmax}(QK^\top/\sqrt{d_k})\,V$, and the variance of a
score is

$$
\operatorname{Var}(q \cdot k) = \sum_{i=1}^{d_k} \operatorname{Var}(q_i k_i) = d_k .
$$ (eq-NAME)

\begin{align}
\boldsymbol{p} &= \frac{e^{\boldsymbol{z}}}{\sum_j e^{z_j}} \\
\nabla_{\boldsymbol{z}} L &= \boldsymbol{p} - \boldsymbol{y}, \qquad \mathbb{E}[L] \ge 0, \quad \cancel{x}
\end{align}

Equation {eq}`eq-NAME` and {numref}`fig-NAME` belong together. The largest error is {glue:text}`largest_error:.1e`.
"""

REFERENCES = """## References

```{bibliography}
:filter: docname in docnames
```
"""

EXERCISES = r"""## Exercises

1. What does $\sqrt{d_k}$ do?

:::{admonition} Solution
:class: dropdown
It keeps the variance of $q \cdot k / \sqrt{d_k}$ at one.
:::
"""


def chapter(name: str = "toy", run: dict[str, Any] | None = RUN, cited: str = "") -> nbformat.NotebookNode:
    """The toy chapter as run `run`; its labels end in `name`, so that a book can hold two.

    With the key of a work, `cited`, it cites that and ends with its references.
    """
    setup_cell = new_code_cell(
        "from workbench.chapter import begin\n\nchapter = begin()",
        execution_count=1,
    )
    cells = [
        new_markdown_cell(
            INTRODUCTION.replace("NAME", name).replace("CITED", f" {{cite:p}}`{cited}`" if cited else "")
        ),
        new_code_cell("d_k: Count = 64  # width of a key", execution_count=1, metadata={"tags": ["parameters"]}),
        setup_cell,
        new_markdown_cell("## What it shows"),
        new_code_cell(
            "chapter.record('largest_error', 3e-7)",
            execution_count=2,
            outputs=[recorded("largest_error", 3e-7)],
        ),
        new_code_cell("pd.DataFrame(scores)", execution_count=3, outputs=[table()]),
        new_code_cell(
            "ax.plot(widths, variances)",
            execution_count=4,
            outputs=[figure()],
            metadata={
                "mystnb": {
                    "figure": {"caption": "The variance of a score grows with $d_k$.", "name": f"fig-{name}"},
                    "image": {"alt": "A line that rises from the lower left to the upper right."},
                }
            },
        ),
        new_code_cell(
            "chapter.check('Rows sum to one: largest error', error, below=1e-6)\n"
            "chapter.claim('A fair coin shows heads: frequency', frequency, about=0.5, within=0.1, n=400)",
            execution_count=5,
            metadata={"tags": ["nbval-check-output"]},
            outputs=[
                claimed("Rows sum to one: largest error", "below 1e-06", 3e-7, True, None),
                claimed("A fair coin shows heads: frequency", "about 0.5, within 0.1", 0.7325, False, 400),
            ],
        ),
        new_markdown_cell(EXERCISES),
        *([new_markdown_cell(REFERENCES)] if cited else []),
    ]
    kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernelspec, "language_info": {"name": "python", "file_extension": ".py"}}
    if run is not None:
        metadata["workbench"] = run
    notebook = new_notebook(cells=cells, metadata=metadata)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"toy-{place}"
    return notebook


def recorded(name: str, value: float) -> nbformat.NotebookNode:
    """The output of `chapter.record`."""
    prefix = "application/papermill.record/"
    return new_output(
        "display_data",
        {f"{prefix}text/plain": repr(value)},
        metadata={
            "scrapbook": {"name": name, "mime_prefix": prefix},
            "workbench": {"record": {"name": name, "value": value}},
        },
    )


def claimed(statement: str, bound: str, value: Any, holds: bool, n: int | None) -> nbformat.NotebookNode:
    """The output of `chapter.claim`, or of `chapter.check` where nothing was counted."""
    line = f"{'✓' if holds else '✗'} {statement} {bound}"
    claim = {"statement": statement, "bound": bound, "value": value, "holds": holds, "n": n}
    claim["kind"] = "check" if n is None else "finding"
    shown = f'<div class="workbench-claim {"holds" if holds else "fails"}">{line}</div>'
    data = {"text/plain": line, "text/html": shown}
    return new_output("display_data", data, metadata={"workbench": {"claim": claim}})


def table() -> nbformat.NotebookNode:
    """A data frame's output, wider than a phone."""
    import pandas as pd

    frame = pd.DataFrame({f"temperature_{k}": [0.125 * k, 0.25 * k] for k in range(1, 9)}, index=["scaled", "unscaled"])
    data = {"text/plain": frame.to_string(), "text/html": frame.to_html()}
    return new_output("execute_result", data, execution_count=3)


def figure() -> nbformat.NotebookNode:
    """A picture on white, as the chapters make them."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    axes.plot([1, 64, 128, 256], [1, 64, 128, 256])
    axes.set(xlabel="$d_k$", ylabel="variance of a score")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    plt.close(figure)
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<Figure size 640x320>"}
    return new_output("display_data", data)
