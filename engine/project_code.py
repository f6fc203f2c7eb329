"""The code of a LangGraph project: imported when a run needs it, never to look at runs.

Before the first import of a project, once per process: the packages among its `dependencies` are checked (nothing is
installed), its folders go to the end of `sys.path`, and its `env` is set where it is not set.

A file is imported under the name by which Python finds it on that path, so that relative imports hold and other files
import the same module; otherwise under the name that LangGraph's server gives it. The server's name leads to the same
module in any case: checkpoints hold the names of modules, and both sides must find their types again.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Mapping
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog
from dotenv import dotenv_values
from packaging.requirements import InvalidRequirement, Requirement

from ..errors import AdjournError, ConfigurationError
from ..settings import export_environment
from .langgraph_json import GraphEntry, Project

__all__ = ["ALIASES", "load_target", "missing_packages"]

# Names that LangGraph's server gives to the files of projects, which this process has imported.
ALIASES: set[str] = set()

_log = structlog.get_logger("adjourn")
_lock = threading.RLock()
_prepared: set[Path] = set()


def load_target(project: Project, entry: GraphEntry) -> Any:
    """Import the code of a graph and return what the entry names: a graph, or a function that makes one.

    Safe to call from several threads; each file is executed once per process.

    Raises:
        ConfigurationError: A package is missing, the code cannot be imported, or has no such name; nothing was run.
    """
    where = f"{project.file}: graphs.{entry.name} ({entry.target})"
    if entry.is_javascript:
        raise ConfigurationError(f"{where} is a JavaScript graph; adjourn runs Python graphs only.")
    with _lock:
        _prepare(project)
        try:
            module = _import(project, entry)
        except AdjournError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigurationError(f"{where} cannot be imported: {_reason(error, project)}") from error
    try:
        return getattr(module, entry.attribute)
    except AttributeError:
        raise ConfigurationError(
            f"{where}: there is no {entry.attribute!r} in it. It has {_exports(module)}."
        ) from None


def missing_packages(project: Project) -> list[str]:
    """Return those packages among a project's dependencies that are not installed in the version asked for.

    What has no version to look up, such as the address of a repository, is taken for installed.
    """
    return [each for each in project.dependencies if not _is_folder(project, each) and not _is_installed(each)]


def _prepare(project: Project) -> None:
    if project.file in _prepared:
        return
    if missing := missing_packages(project):
        named = " ".join(f"'{each}'" for each in missing)
        raise ConfigurationError(f"{project.file}: dependencies are missing here. Install them: pip install {named}")
    for folder in _folders(project):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    if left_out := export_environment(_environment(project)):
        _log.warning(
            "adjourn's own settings are not read from the env of langgraph.json; export them",
            names=left_out,
            file=str(project.file),
        )
    _prepared.add(project.file)


def _folders(project: Project) -> list[Path]:
    """Return what `pip install -e` of the project's folders would put on the path, the project's own folder first."""
    folders = [project.folder]
    for each in project.dependencies:
        if _is_folder(project, each):
            folder = (project.folder / each).resolve()
            if not folder.is_dir():
                raise ConfigurationError(f"{project.file}: dependencies: {each!r} is no folder of the project.")
            folders.append(folder)
    sources = [folder / "src" for folder in folders if (folder / "src").is_dir()]
    return list(dict.fromkeys([*folders, *sources]))


def _is_folder(project: Project, dependency: str) -> bool:
    return dependency.startswith((".", "/")) or (project.folder / dependency).is_dir()


def _is_installed(dependency: str) -> bool:
    try:
        wanted = Requirement(dependency)
    except InvalidRequirement:
        return True
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    try:
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _environment(project: Project) -> Mapping[str, str]:
    if not isinstance(project.env, str):
        return project.env
    file = project.folder / project.env
    if not file.is_file():
        # As in LangGraph's own tools: such a file is seldom in the repository, and its variables may be set already.
        _log.warning("the env file of langgraph.json is not there", file=str(file))
        return {}
    return {name: value for name, value in dotenv_values(file).items() if value is not None}


def _import(project: Project, entry: GraphEntry) -> ModuleType:
    if not entry.is_file:
        return importlib.import_module(entry.place)
    file = (project.folder / entry.place).resolve()
    if not file.is_file():
        raise ConfigurationError(f"{project.file}: graphs.{entry.name}: there is no file {file}.")
    alias = _server_name(entry.place)
    known = sys.modules.get(alias)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "").resolve() == file:
            return known
        raise ConfigurationError(
            f"{file} cannot be imported: this process has already imported {known.__file__} under the same name. "
            "Use one process for each project."
        )
    module = importlib.import_module(name) if (name := _natural_name(file)) else _execute(alias, file)
    sys.modules[alias] = module
    ALIASES.add(alias)
    return module


def _execute(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _server_name(place: str) -> str:
    """Return the module name that LangGraph's server makes of a path (langgraph_api.graph, 0.16.7)."""
    return place.replace("/", "__").replace(".py", "").replace(" ", "_").lstrip(".")


def _natural_name(file: Path) -> str | None:
    """Return the name by which Python itself would import a file; None when it would not find it, or find another."""
    top = file if file.name != "__init__.py" else file.parent
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    parts = file.relative_to(top.parent).with_suffix("").parts
    if not all(part.isidentifier() for part in parts):
        return None
    loaded = sys.modules.get(parts[0])
    found = loaded.__spec__ if loaded is not None else PathFinder.find_spec(parts[0])
    places = found.submodule_search_locations or [found.origin or ""] if found is not None else []
    if top not in {Path(place).resolve() for place in places}:
        return None
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _reason(error: BaseException, project: Project) -> str:
    said = f"{type(error).__name__}: {str(error).rstrip('.') or 'no message'}."
    if not isinstance(error, ModuleNotFoundError):
        return said
    for file, command in (("requirements.txt", "-r requirements.txt"), ("pyproject.toml", "-e .")):
        if (project.folder / file).is_file():
            return f"{said} Install what the project needs: pip install {command}"
    return f"{said} Install it, or name its folder in the dependencies of langgraph.json."


def _exports(module: ModuleType) -> str:
    from langgraph.graph import StateGraph
    from langgraph.pregel import Pregel

    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    graphs = [name for name, value in public.items() if isinstance(value, StateGraph | Pregel)]
    named = graphs or sorted(
        name for name, value in public.items() if getattr(value, "__module__", "") == module.__name__
    )
    return ("the graphs " if graphs else "") + ", ".join(named) if named else "no graph"
