"""Notebooks as JupyterLab gets them from `workbench lab` and `open`: unchanged as long as nobody changes them.

JupyterLab writes what the kernel says of itself into a notebook's metadata, the version of Python to its last digit. A
notebook that was just opened thus counts as changed, and whoever saves it has a difference to commit. So a notebook is
given out with what this environment's kernel will say, and saved with what the repository keeps.
"""

from __future__ import annotations

from typing import Any

from ipykernel.ipkernel import IPythonKernel
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

KEPT = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": NATIVE_KERNEL_NAME},
    "language_info": {"name": "python"},
}
"""The metadata of the committed notebooks."""


class Notebooks(AsyncLargeFileManager):
    """The files of a folder; see the module."""

    async def get(self, path: str, content: bool = True, *args: Any, **options: Any) -> dict[str, Any]:
        """A file or folder, as the base class has it, of a notebook with the metadata that its kernel would write."""
        model = await super().get(path, content, *args, **options)
        if content and model["type"] == "notebook":
            metadata = model["content"]["metadata"]
            if all(metadata.get(name) == value for name, value in KEPT.items()):
                spec = self.parent.kernel_spec_manager.get_kernel_spec(NATIVE_KERNEL_NAME)
                metadata["kernelspec"] = KEPT["kernelspec"] | {"display_name": spec.display_name}
                metadata["language_info"] = dict(IPythonKernel.language_info)
        return model

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Save a file or folder, of a notebook of this environment's kernel the metadata that the repository keeps."""
        if model.get("type") == "notebook" and "content" in model:
            metadata = model["content"]["metadata"]
            if metadata.get("kernelspec", {}).get("name") == NATIVE_KERNEL_NAME:
                metadata |= KEPT
        return await super().save(model, path)
