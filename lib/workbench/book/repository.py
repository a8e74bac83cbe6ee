"""Where the book's sources live: the buttons that lead from a page to its repository, to Binder and to Colab."""

from __future__ import annotations

import re
from typing import Any

from workbench.core.errors import RequestError

_ADDRESS = re.compile(r"https://(?P<host>[\w.-]*git(?:hub|lab)[\w.-]*)(?P<path>(?:/[\w.-]+){2,})")


def with_repository(config: dict[str, Any], url: str) -> dict[str, Any]:
    """`_config.yml`'s content with buttons to the repository, its issues, the source, Binder and Colab.

    Colab opens notebooks from github.com only, so a book elsewhere launches on Binder alone. What else the
    configuration says is kept.

    Args:
        config: the content of `_config.yml`.
        url: such as `https://github.com/OWNER/NAME`; a trailing slash or `.git` is dropped.

    Raises:
        RequestError: for anything but the address of a repository on GitHub or GitLab; the theme knows no other.
    """
    address = url.strip().rstrip("/").removesuffix(".git")
    match = _ADDRESS.fullmatch(address)
    on_github = match is not None and match["host"] == "github.com"
    if match is None or (on_github and match["path"].count("/") > 2):
        raise RequestError(
            f"repository: {url!r} is not an address such as https://github.com/OWNER/NAME (GitHub or GitLab)"
        )
    added = {
        "repository": {"url": address, "branch": "main", "path_to_book": ""},
        "html": {"use_repository_button": True, "use_issues_button": True, "use_edit_page_button": True},
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com" if on_github else "",
        },
    }
    return config | {part: (config.get(part) or {}) | values for part, values in added.items()}
