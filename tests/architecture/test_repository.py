"""What a good repository holds, and what must never be in it."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "marketplace", "maintenance", "connectors")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: what is tracked cannot be told")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_with_what_it_promises(module: Path):
    tree = ast.parse(module.read_text())
    assert not tree.body or ast.get_docstring(tree), "no header"


@pytest.mark.parametrize("package", ["connectors", "maintenance", "marketplace"])
def test_below_the_gateway_time_is_an_argument(package: str):
    reads = re.compile(r"datetime\.now\(|datetime\.utcnow\(|time\.time\(|date\.today\(")
    found = [str(path) for path in (ROOT / package).rglob("*.py") if reads.search(path.read_text())]
    assert found == []


def test_no_package_index_and_no_machine_path_is_in_any_file():
    address = re.compile(r"index-url|/simple[/\"' ]|\"resolved\":|/work/|/root/|/home/\w+/")
    mine = Path(__file__)
    found = []
    for path in tracked():
        if path == mine or path.suffix in {".png", ".gz"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if address.search(line) and "--no-emit-index-url" not in line:
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_every_locked_package_has_a_hash():
    for name in ("requirements.lock", "requirements.runtime.lock"):
        blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text())
        naked = [block.split("\n")[0] for block in blocks if block[:1].isalnum() and "--hash=sha256:" not in block]
        assert naked == [], name


def test_the_wheel_holds_the_packages_and_no_tests(tmp_path: Path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("toolcrib-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert set(PACKAGES) <= tops
    assert "tests" not in tops
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    assert any(name.startswith("gateway/migrations/spend/versions/") for name in names)
    assert any(name.startswith("gateway/web/static/") for name in names)


def test_the_code_map_names_only_rooms_that_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`((?:gateway|marketplace|maintenance|connectors|tests|docker)/[\w./-]*)`", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_capability_in_the_readme_names_a_test_that_exists():
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(rows) >= 15
    for name, function in rows:
        path = ROOT / name
        assert path.exists(), name
        assert not function or f"def {function}(" in path.read_text(), f"{name}::{function}"


def test_tests_that_run_alone_live_where_make_looks_for_them():
    places = re.search(r"^SERIAL := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert places is not None
    marked = [file for file in ROOT.glob("tests/**/test_*.py") if "mark.serial" in file.read_text()]
    assert len(marked) > 5
    homes = [ROOT / each for each in places[1].split()]
    lost = [file for file in marked if not any(home in file.parents for home in homes)]
    assert [str(file.relative_to(ROOT)) for file in lost if "mark.shared" not in file.read_text()] == []
