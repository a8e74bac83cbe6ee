"""Where the book's sources live: the buttons that lead from a page to its repository, to Binder and to Colab.

A book with no repository has none of these buttons. `workbench book --repository URL` builds with the configuration
that `with_repository` returns.
"""

from __future__ import annotations

import copy
import re
from typing import Any

_ADDRESS = re.compile(r"https://(?P<host>[\w.-]+)/(?P<path>[\w.-]+(?:/[\w.-]+)+)")


def with_repository(config: dict[str, Any], url: str, branch: str = "main") -> dict[str, Any]:
    """A copy of `_config.yml`'s content with buttons to the repository, its issues, the source, Binder and Colab.

    Colab opens notebooks from github.com only, so a book elsewhere launches on Binder alone. What else the
    configuration says is kept.

    Args:
        config: the content of `_config.yml`.
        url: such as `https://github.com/OWNER/NAME`; a trailing slash or `.git` is dropped.
        branch: the branch that the buttons lead to.

    Raises:
        ValueError: for anything but the address of a repository on GitHub or GitLab; the theme knows no other.
    """
    address = url.strip().rstrip("/").removesuffix(".git")
    match = _ADDRESS.fullmatch(address)
    if match is None or not any(name in match["host"] for name in ("github", "gitlab")):
        raise ValueError(
            f"repository: {url!r} is not an address such as https://github.com/OWNER/NAME (GitHub or GitLab)"
        )
    if match["host"] == "github.com" and match["path"].count("/") != 1:
        raise ValueError(f"repository: {url!r} goes past the repository; https://github.com/OWNER/NAME is enough")
    changed = copy.deepcopy(config)
    changed["repository"] = {
        **(changed.get("repository") or {}),
        "url": address,
        "branch": branch,
        "path_to_book": "",
    }
    changed["html"] = {
        **(changed.get("html") or {}),
        "use_repository_button": True,
        "use_issues_button": True,
        "use_edit_page_button": True,
    }
    changed["launch_buttons"] = {
        **(changed.get("launch_buttons") or {}),
        "notebook_interface": "jupyterlab",
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com" if match["host"] == "github.com" else "",
    }
    return changed
