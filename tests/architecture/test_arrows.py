"""Imports run downwards only; the contract stands in pyproject.toml and this shows that it bites."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "marketplace", "maintenance", "connectors")


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(
        command, cwd=directory, env={"PYTHONPATH": str(directory), "PATH": ""}, capture_output=True, text=True
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_arrow_runs_downwards():
    found = lint_imports(ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("connectors/samples.py", "import maintenance.belief"),
        ("maintenance/needs.py", "import marketplace.money"),
        ("maintenance/needs.py", "import connectors.opcua"),
        ("marketplace/timing.py", "import connectors.samples"),
        ("marketplace/timing.py", "import time"),
        ("marketplace/catalogue.py", "import marketplace.authority.permit"),
    ],
)
def test_an_arrow_that_runs_upwards_fails(copy: Path, where: str, line: str):
    module = copy / where
    module.write_text(module.read_text().replace("from __future__ import annotations", f"{line}  # noqa", 1))
    found = lint_imports(copy)
    assert found.returncode == 1, found.stdout
    assert "BROKEN" in found.stdout
