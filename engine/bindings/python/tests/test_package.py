"""The package as users get it: a wheel in an environment of its own, and the README's example."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from programs import HERE, ROOT, plain_environment

PACKAGE = HERE.parent


def output(*command, **variables):
    """What a command prints."""
    environment = {**plain_environment(), **variables}
    ended = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of an environment that has the wheel, and the wheel."""
    folder = tmp_path_factory.mktemp("package")
    beside_pytest = Path(pytest.__file__).parents[1] / "bin/maturin"
    maturin = beside_pytest if beside_pytest.exists() else shutil.which("maturin")
    assert maturin, "no maturin: engine/bindings/python/setup.sh fetches it"
    # Built as the tests' own library is, so that its dependencies are there already.
    build = [maturin, "build", "--profile", "dev", "--compatibility", "linux", "--quiet"]
    build += ["--interpreter", sys.executable, "--manifest-path", PACKAGE / "Cargo.toml"]
    output(*build, "--out", folder)
    [wheel] = folder.glob("*.whl")
    output(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    output(*pip, "--no-index", "--no-deps", "--disable-pip-version-check", wheel)
    return python, wheel


def test_the_wheel_is_for_every_python_and_has_its_types(installed):
    _, wheel = installed
    assert "-cp39-abi3-" in wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"stepmark/_native.abi3.so", "stepmark/py.typed", "stepmark/_native.pyi"} <= names
    assert not any("test" in name for name in names - {"stepmark/testing.py"})


def test_the_readme_s_example_runs_and_its_test_passes(installed, tmp_path):
    python, _ = installed
    worker, test = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.S)
    assert worker.count("\n") < 30
    (tmp_path / "greet.py").write_text(worker)
    (tmp_path / "test_greet.py").write_text(test)
    listed = output(python, tmp_path / "greet.py", "--list-handlers")
    assert listed == "examples/greet\nexamples/shout\n"
    tools = os.pathsep.join([str(tmp_path), str(Path(pytest.__file__).parents[1])])
    check = [python, "-m", "pytest", "-q", "--rootdir", tmp_path, tmp_path / "test_greet.py"]
    assert "1 passed" in output(*check, PYTHONPATH=tools)
    where = output(python, "-c", "import stepmark; print(stepmark.__file__)")
    assert str(python.parents[1]) in where
