"""Build what would be published, and try it where nothing of ours is installed.

The source distribution and the wheel are built in an isolated environment and checked
for what must be in them and what must not. The wheel is installed into an environment
that has nothing else, first alone and then with the command line. What has passed is
left in dist/.

    python tools/check_package.py
    python tools/check_package.py --find-links FOLDER    passed on to pip
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints" / "ci.txt"

NOT_PUBLISHED = (".ci/", ".github/", ".pre-commit-config.yaml")
"""What only the repository needs."""

CORE = {"h5py", "joblib", "numpy", "pandas", "scikit-learn", "scipy"}
"""All that ``pip install weightsearch`` asks for; each brings its own."""

QUICK_TESTS = (
    "tests/unit/test_conventions.py",
    "tests/unit/test_format_page.py",
    "tests/unit/test_store_roundtrip.py",
)
"""Tests that read pages and files of data, run in the unpacked source distribution."""

FIRST_STEPS = """
import sys
from importlib.resources import files
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
import weightsearch
from weightsearch import WeightStore, WeightTrackingGridSearchCV

assert "site-packages" in weightsearch.__file__, weightsearch.__file__
assert weightsearch.__version__ == sys.argv[1]
assert (files("weightsearch") / "py.typed").is_file()
X, y = load_iris(return_X_y=True)
grid = {"C": [0.1, 1.0]}
model = LogisticRegression(max_iter=500)
search = WeightTrackingGridSearchCV(model, grid, cv=3, store="bare.h5").fit(X, y)
with WeightStore("bare.h5") as store:
    run = store.run()
    assert run.weights(1)["coef_"].shape == (3, 4)
    assert run.load_estimator(run.best_index).score(X, y) > 0.9
    assert store.verify() == []
"""


class CheckError(Exception):
    """What is built is not as it must be; the message says how."""


def require(condition: bool, message: str) -> None:
    """Fail with a message unless a condition holds."""
    if not condition:
        raise CheckError(message)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    status: int = 0,
) -> str:
    """Run a command that must end with a status; return all that it prints."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    # Without a colour or a line's end that depends on who runs it.
    environment |= {"NO_COLOR": "1", "COLUMNS": "100", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    shown = " ".join(str(part) for part in command if "\n" not in str(part))
    require(
        done.returncode == status,
        f"{shown}\nended with {done.returncode}, not {status}:\n{done.stdout}",
    )
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Build the source distribution, and of it the wheel."""
    run([sys.executable, "-m", "build", "--outdir", folder, ROOT], cwd=folder)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    run([sys.executable, "-m", "twine", "check", "--strict", sdist, wheel], cwd=folder)
    return sdist, wheel


def kept_files() -> set[str]:
    """Names of the repository's files, as git keeps them."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached"]
    listed = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    # A file that is removed, but not yet from git, cannot be in what is built.
    return {name for name in listed.stdout.split("\0") if (ROOT / name).is_file()}


def check_sdist(sdist: Path, kept: set[str], folder: Path) -> Path:
    """Check that all is there to build and to test; return where it is unpacked."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(folder, filter="data")
    wanted = {name for name in kept if not name.startswith(NOT_PUBLISHED)}
    _require_none(wanted - names, f"{sdist.name} lacks")
    unwanted = {name for name in names if name.startswith(NOT_PUBLISHED)}
    compiled = {name for name in names if "__pycache__" in name}
    _require_none(unwanted | compiled, f"{sdist.name} should not have")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run([*command, *QUICK_TESTS], cwd=unpacked)
    return unpacked


def check_wheel(wheel: Path, kept: set[str]) -> None:
    """Check that the wheel is the package and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {name for name in kept if name.startswith("weightsearch/")}
    require("weightsearch/py.typed" in wanted, "weightsearch/py.typed is not in git")
    _require_none(wanted - names, f"{wheel.name} lacks")
    strange = {name for name in names if not name.startswith("weightsearch/")}
    compiled = {name for name in names if "__pycache__" in name}
    _require_none(strange | compiled, f"{wheel.name} should not have")


def _require_none(names: Iterable[str], what: str) -> None:
    listed = sorted(names)
    require(not listed, f"{what} {len(listed)} file(s): {', '.join(listed[:20])}")


class BareEnvironment:
    """An environment with nothing in it, not even pip.

    Parameters
    ----------
    folder : Path
    pip_options : sequence of str
        Passed on to ``pip install``.
    """

    def __init__(self, folder: Path, pip_options: Sequence[str]):
        self.folder = folder
        self.pip_options = pip_options
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"
        self.command = self.bin / "weightsearch"

    def install(self, requirement: str) -> None:
        """Install by the pip of the interpreter that runs this."""
        options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        options += ["--constraint", str(CONSTRAINTS), *self.pip_options]
        pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
        run([*pip, "install", *options, requirement], cwd=self.folder)

    def installed(self) -> dict[str, metadata.Distribution]:
        """Give what is installed, by its normal name."""
        place = run(
            [
                self.python,
                "-c",
                "import sysconfig; print(sysconfig.get_path('purelib'))",
            ],
            cwd=self.folder,
        ).strip()
        found = metadata.distributions(path=[place])
        return {_normal(distribution.name): distribution for distribution in found}


def _normal(name: str) -> str:
    # As the packaging guide defines it, so that scikit_learn is scikit-learn.
    return re.sub(r"[-_.]+", "-", name).lower()


def check_requirements(environment: BareEnvironment) -> None:
    """Check that the core alone was asked for, and nothing of any extra came."""
    installed = environment.installed()
    core: set[str] = set()
    extras: set[str] = set()
    for requirement in installed["weightsearch"].requires or ():
        name = _normal(re.split(r"[^\w.-]", requirement)[0])
        (extras if "extra ==" in requirement else core).add(name)
    require(core == CORE, f"the core asks for {sorted(core)}, not for {sorted(CORE)}")
    came = (extras - core - {"weightsearch"}) & set(installed)
    require(not came, f"nobody asked for {sorted(came)}")
    shown = ", ".join(
        f"{name} {distribution.version}"
        for name, distribution in sorted(installed.items())
    )
    print(f"    {shown}")


def check_installed(wheel: Path, folder: Path, pip_options: Sequence[str]) -> None:
    """Use the wheel as somebody who has only installed it, and then the command."""
    environment = BareEnvironment(folder / "bare", pip_options)
    with step("the wheel alone, in a bare environment"):
        environment.install(str(wheel))
        check_requirements(environment)
        version = wheel.name.split("-")[1]
        run([environment.python, "-c", FIRST_STEPS, version], cwd=folder)
        told = run([environment.command], cwd=folder, status=2)
        require(
            "pip install typer rich" in told,
            f"the command without its extra does not say what to install: {told}",
        )
    with step("with the command line"):
        environment.install(f"{wheel}[cli]")
        told = run([environment.command, "--version"], cwd=folder)
        require(version in told, f"weightsearch --version says {told}")
        demo = folder / "demo"
        run([environment.command, "demo", demo], cwd=folder)
        run([environment.command, "verify", demo / "demo.h5"], cwd=folder)
        told = run(
            [environment.python, "-m", "weightsearch", "ls", demo / "demo.h5"],
            cwd=folder,
        )
        require("MLPClassifier" in told, f"weightsearch ls shows no search: {told}")


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    print(f"{what} ...", flush=True)
    begin = time.perf_counter()
    yield
    print(f"    {time.perf_counter() - begin:.0f} s", flush=True)


def main() -> int:
    """Build, check, and put what has passed into dist/; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--find-links", action="append", default=[], metavar="FOLDER")
    arguments = parser.parse_args()
    pip_options = [f"--find-links={place}" for place in arguments.find_links]
    with tempfile.TemporaryDirectory(prefix="weightsearch-package-") as name:
        folder = Path(name).resolve()
        try:
            with step("building, twine check"):
                built = folder / "built"
                built.mkdir()
                sdist, wheel = build(built)
            kept = kept_files()
            with step("the source distribution's files, and tests in it"):
                unpacked = folder / "unpacked"
                unpacked.mkdir()
                check_sdist(sdist, kept, unpacked)
            with step("the wheel's files"):
                check_wheel(wheel, kept)
            check_installed(wheel, folder, pip_options)
        except CheckError as error:
            print(error, file=sys.stderr)
            return 1
        dist = ROOT / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(built, dist, ignore=shutil.ignore_patterns(".gitignore"))
    for path in sorted(dist.iterdir()):
        print(f"dist/{path.name}: {path.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
