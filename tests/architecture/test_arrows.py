"""Imports run downwards only; the contract stands in pyproject.toml and this shows that it bites."""

import ast
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
        ("marketplace/ordering/sending.py", "import marketplace.authority.issuing"),
        ("marketplace/suppliers/http.py", "import marketplace.authority.issuing"),
        ("marketplace/authority/ledger.py", "import marketplace.authority.issuing"),
        ("gateway/operations.py", "import marketplace.authority.issuing"),
        ("marketplace/authority/limits.py", "import sqlalchemy"),
    ],
)
def test_an_arrow_that_runs_upwards_fails(copy: Path, where: str, line: str):
    module = copy / where
    module.write_text(module.read_text().replace("from __future__ import annotations", f"{line}  # noqa", 1))
    found = lint_imports(copy)
    assert found.returncode == 1, found.stdout
    assert "BROKEN" in found.stdout


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def places(path: Path) -> list[ast.AsyncFunctionDef]:
    """Return every `place` of a class that sends orders: one that takes a permit."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]
    return [node for node in found if node.name == "place" and "permit" in [arg.arg for arg in node.args.args]]


def is_a_promise(place: ast.AsyncFunctionDef) -> bool:
    """Return whether it is only the port's own signature."""
    return all(is_text(each) for each in place.body)


def is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def requires(place: ast.AsyncFunctionDef) -> bool:
    first = next(each for each in place.body if not is_text(each))
    call = first.value if isinstance(first, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require"


def test_every_adapter_takes_the_permit_before_anything_else():
    adapters = [(path, place) for path in modules() for place in places(path) if not is_a_promise(place)]
    assert len(adapters) >= 3, "http, by hand, dry run"
    for path, place in adapters:
        assert requires(place), f"{path}:{place.lineno} sends before it has taken the permit"


def test_an_adapter_that_asks_for_no_permit_would_be_found(tmp_path: Path):
    bad = tmp_path / "bad.py"
    bad.write_text("class Bad:\n    async def place(self, permit):\n        await self.send(permit.request_bytes)\n")
    assert not requires(places(bad)[0])


def test_nothing_but_its_two_modules_touches_the_seal():
    named = {path.name for path in modules() if "_SEAL" in path.read_text()}
    assert named == {"permit.py", "issuing.py"}
