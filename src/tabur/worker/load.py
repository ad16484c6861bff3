"""Finding the app that a command or a worker is to work for."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from tabur.config import project_table
from tabur.errors import ConfigError

#: Seconds that a process may take to load the app: one that holds a large model needs minutes.
LOADING = 300.0


def load_app(spec: str) -> Any:
    """The Tabur object that `package.module:name` leads to. Raises ConfigError saying what is wrong
    with it; an error inside the module itself comes out as it is."""
    module_name, colon, name = spec.partition(":")
    if not colon or not module_name or not name:
        raise ConfigError(
            f"--app {spec!r}: write it as package.module:name, such as shop.main:jobs."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise ConfigError(
                f"--app {spec!r}: there is no module {error.name!r} here ({here}). Start it "
                "in the project's folder, or install the project."
            ) from None
        raise
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not hasattr(found, "runtime") or not hasattr(found, "registry"):
        shown = "nothing" if found is None else f"a {type(found).__name__}"
        raise ConfigError(f"--app {spec!r}: {name!r} is {shown}, not a Tabur object.")
    if isinstance(getattr(found, "spec", None), str | None):
        found.spec = spec  # for what it starts itself: a scheduled command
    return found


def find_app(given: str | None) -> str:
    """The app's place: given, TABUR_APP, or [tool.tabur] app in pyproject.toml. Raises
    ConfigError."""
    spec = given or os.environ.get("TABUR_APP") or from_pyproject("app")
    if spec is None:
        raise ConfigError(
            "Which app? Give --app package.module:name, set TABUR_APP, or write\n"
            '[tool.tabur]\napp = "package.module:name"\nin pyproject.toml.'
        )
    return spec


def from_pyproject(name: str) -> str | None:
    """A word of [tool.tabur] in pyproject.toml; None where there is none. Raises ConfigError."""
    found = project_table().get(name)
    return found if isinstance(found, str) else None
