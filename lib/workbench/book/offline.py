"""Pages that read with no network: MathJax comes with the book, and nothing is loaded from another site.

Part of the Sphinx extension `workbench.book.extension`. The parts of MathJax that pages ask for are copied from the
package `sphinx-mathjax-offline`, 2 of its 24 MB; the scripts of `sphinx-thebe`, which Jupyter Book always adds, are
left out.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

# What `tex-chtml.js` fetches while a page is read: fonts, the TeX extensions behind rarer macros, and the tree for
# screen readers. The speech engine (5 MB), which a reader would have to switch on in the context menu, stays behind.
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2/*", "input/tex/extensions/*", "a11y/assistive-mml.js")


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy the parts of MathJax that pages load beside the built pages."""
    if exception is not None or app.builder.format != "html":
        return
    package = find_spec("sphinx-mathjax-offline")  # a name with hyphens: it can be found, but not be named in an import
    source = Path(package.origin).parent / "static" / "mathjax"
    for path in (path for part in MATHJAX_PARTS for path in source.glob(part)):
        target = Path(app.outdir) / "_static" / "mathjax" / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def leave_out_thebe(app: Sphinx, _config: object = None) -> None:
    """Disconnect `sphinx-thebe`: without its button, its script does nothing but log an error on every page."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    app.registry.css_files[:] = [entry for entry in app.registry.css_files if entry[0] != "sphinx-thebe.css"]
