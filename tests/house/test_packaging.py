"""The wheel: what is in it, and that it works beside a user's folder with the same names as ours."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_PACKAGED = {"tests", "docs", "benchmarks", "build", "dist"}


def run(*command: str | Path, folder: Path, **kwargs: object) -> str:
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def test_every_package_of_the_tree_is_listed_in_pyproject() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "*__init__.py", folder=ROOT).split()
    found = {
        ".".join(("adjourn", *Path(path).parent.parts)) for path in tracked if Path(path).parts[0] not in NOT_PACKAGED
    }
    assert listed == found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of what git tracks, so that the build leaves nothing in the checkout."""
    source = tmp_path_factory.mktemp("source")
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", folder=ROOT).splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", out, source, folder=out)
    return next(out.glob("*.whl"))


def test_only_adjourn_stands_at_the_top_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"adjourn"}


def test_the_wheel_holds_the_data_that_is_read_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", folder=ROOT).splitlines()
    data = {
        f"adjourn/{name}"
        for name in tracked
        if name.endswith((".sql", ".json", ".txt", ".md")) and Path(name).parts[0] in
        ("checkpoints", "engine", "examples", "nodes")
    }  # fmt: skip
    assert "adjourn/py.typed" in names
    assert data <= names
    assert not [name for name in names if name.startswith(("adjourn/tests", "adjourn/benchmarks", "adjourn/docs"))]


def test_the_wheel_works_beside_a_folder_with_the_same_names(wheel: Path, tmp_path: Path, database: str) -> None:
    environment = tmp_path / "env"
    run(sys.executable, "-m", "venv", "--without-pip", environment, folder=tmp_path)
    python = environment / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", folder=tmp_path).strip())
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel, folder=tmp_path)
    # the packages of the test environment, but not its editable adjourn
    shared = run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", folder=tmp_path)
    (site / "shared.pth").write_text(f"import sys; sys.path.append({shared.strip()!r})\n")

    user = tmp_path / "user"
    (user / "graphs").mkdir(parents=True)
    for name in ("state.py", "nodes.py", "errors.py", "graphs/__init__.py"):
        (user / name).write_text("raise RuntimeError('a file of the user was imported by adjourn')\n")
    (user / "main.py").write_text(
        "import adjourn, sys\n"
        "from adjourn import Engine, approve\n"
        "with Engine.open(sys.argv[1]) as engine:\n"
        "    run = engine.start('review', {'input_text': 'Fine.'})\n"
        "    if run.status == 'paused':\n"
        "        run = engine.resume(run.thread_id, approve())\n"
        "    print(adjourn.__file__)\n"
        "    print(run.status, run.state['final_decision'])\n"
    )
    place, result = run(python, "main.py", database, folder=user).splitlines()
    assert place.startswith(str(environment))
    assert result.split()[0] == "completed"
