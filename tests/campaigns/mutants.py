"""How many planted faults the tests notice: python -m tests.campaigns.mutants [--only PATTERN] [--campaign FILE].

Each module of what spends money is changed in one small way at a time (mutmut makes the mutants), and the tests that
know the module run; a mutant that no test fails on survives. A mutant counts as killed if a test failed, or ran into
its time limit (what never ends does not pass). Everything happens in a temporary copy of the sources; nothing here is
changed. A whole count takes some hours, so what a module scored is kept in the campaign's file and holds as
long as neither the module nor its tests change: a count may be made in pieces. With `--digits 38` only the mutants
whose number ends in 3 or 8 are judged, one in five, where nothing whole is known yet.

The last line is one JSON object: how many mutants were judged and killed, how many there are, and the share that is
killed (each module by its own share where it was sampled). The exit code is 0 only if every module asked for was
counted and at least 95 % are killed.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("marketplace", "gateway", "maintenance", "connectors", "tests", "pyproject.toml", "README.md")
"""What the tests of the marketplace read."""

GOAL = 0.95
KILLED = ("killed", "timeout", "segfault", "caught by type check")

Score = dict[str, Any]
"""What is kept of a module: its digest, how many mutants there are (`all`), were judged and were killed, the counts,
the names of those that were left, the seconds it took."""

PACKAGES = ("authority", "ordering", "audit")
UNIT = "tests/unit/marketplace"
TESTS: dict[str, tuple[str, ...]] = {
    "marketplace/money.py": (f"{UNIT}/test_money.py",),
    "marketplace/authority/alarm_terms.py": (f"{UNIT}/authority/test_halts.py",),
    "marketplace/authority/alarms.py": (f"{UNIT}/authority/test_halts.py", f"{UNIT}/ordering/test_stopping.py"),
    "marketplace/authority/gate.py": tuple(f"{UNIT}/authority/test_{of}.py" for of in ("gate", "applied", "decisions")),
    "marketplace/authority/issuing.py": (f"{UNIT}/authority/test_permit.py",),
    "marketplace/authority/plant_time.py": (f"{UNIT}/authority/test_gate.py",),
    "marketplace/authority/reduction.py": (f"{UNIT}/authority/test_ledger.py",),
    "marketplace/authority/scopes.py": tuple(f"{UNIT}/authority/test_{of}.py" for of in ("scopes", "halts")),
    "marketplace/authority/policy.py": tuple(f"{UNIT}/authority/test_{of}.py" for of in ("policy", "checks")),
    "marketplace/audit/accounts.py": (f"{UNIT}/audit/test_verify.py",),
    "marketplace/audit/actor.py": (f"{UNIT}/audit/test_log.py",),
    "marketplace/audit/attendance.py": tuple(f"{UNIT}/audit/test_{of}.py" for of in ("witness", "epochs")),
    "marketplace/audit/chain.py": tuple(f"{UNIT}/audit/test_{of}.py" for of in ("notary", "witness", "epochs")),
    "marketplace/audit/checkpoint.py": (f"{UNIT}/audit/test_note.py",),
    "marketplace/audit/export.py": (f"{UNIT}/audit/test_standalone.py",),
    "marketplace/audit/keys.py": (f"{UNIT}/audit/test_notary.py",),
    "marketplace/audit/merkle.py": tuple(f"{UNIT}/audit/test_{of}.py" for of in ("merkle", "merkle_consistency")),
    "marketplace/audit/notary.py": tuple(f"{UNIT}/audit/test_{of}.py" for of in ("notary", "witness", "epochs")),
    "marketplace/audit/proofs.py": tuple(f"{UNIT}/audit/test_{of}.py" for of in ("merkle_consistency", "notary")),
    "marketplace/audit/seals.py": tuple(f"{UNIT}/audit/test_{of}.py" for of in ("seals", "epochs")),
    "marketplace/audit/standalone.py": tuple(f"{UNIT}/audit/test_{of}.py" for of in ("standalone", "epochs")),
    "marketplace/audit/tree.py": (f"{UNIT}/audit/test_log.py",),
    "marketplace/audit/verify.py": tuple(
        f"{UNIT}/audit/test_{of}.py" for of in ("verify", "seals", "hashing", "epochs")
    ),
}
"""The tests that know a module; without an entry, the one of its name, else all of its package."""


def modules() -> list[str]:
    """Return every module that is mutated, as a path below the root."""
    found = [path for package in PACKAGES for path in (ROOT / "marketplace" / package).glob("*.py")]
    return [
        "marketplace/money.py",
        *sorted(str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py"),
    ]


def tests_of(module: str) -> tuple[str, ...]:
    """Return the test files that decide about the mutants of a module."""
    package = Path(module).parent.name
    named = f"{UNIT}/{package}/test_{Path(module).name}"
    return TESTS.get(module) or ((named,) if (ROOT / named).is_file() else (f"{UNIT}/{package}",))


def digest(module: str, root: Path) -> str:
    """Return what a count holds for: the module, its tests, what they lean on, and how mutants are made."""
    tests = [root / name for name in tests_of(module)]
    read = {root / module, *(root / UNIT).glob("*.py")}
    for path in tests:
        read |= set(path.rglob("*.py")) if path.is_dir() else {path, path.parent / "conftest.py"}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    sums = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(filter(Path.is_file, read)):
        sums.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return sums.hexdigest()


def copy_into(room: Path) -> None:
    """Copy what the tests need."""
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, room / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, room / name)


def aim(room: Path, module: str) -> None:
    """Let the copy's mutmut change this module alone, and judge by its tests alone."""
    text = (ROOT / "pyproject.toml").read_text()
    for key, value in (("only_mutate", [module]), ("pytest_add_cli_args_test_selection", list(tests_of(module)))):
        text, changed = re.subn(rf"^{key} = .*$", f"{key} = {json.dumps(value)}", text, flags=re.MULTILINE)
        if changed != 1:
            raise ValueError(f"pyproject.toml names {key} {changed} times")
    (room / "pyproject.toml").write_text(text)


def mutate(room: Path, module: str, children: int, digits: str = "") -> tuple[int, dict[str, str]]:
    """Return how many mutants a module has, and what became of each, or of those whose number ends in `digits`.

    Raises RuntimeError when mutmut could not judge them.

    mutmut itself makes sure first that the tests pass on the unchanged copy, and fail on one that always raises: so a
    package installed elsewhere can never be what was tested.
    """
    shutil.rmtree(room / "mutants", ignore_errors=True)
    aim(room, module)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    sample = [f"*__mutmut_*{digit}" for digit in digits]
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(children), *sample]
    done = subprocess.run(command, cwd=room, env=environment, capture_output=True, text=True, check=False)
    kept = room / "mutants" / f"{module}.meta"
    if done.returncode or not kept.is_file():
        raise RuntimeError(f"{module}: mutmut ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    codes = json.loads(kept.read_text())["exit_code_by_key"]
    became = {name: status_by_exit_code[code] for name, code in codes.items() if not digits or name[-1] in digits}
    if unfinished(became):
        raise RuntimeError(f"{module}: ended before every mutant was judged")
    return len(codes), became


def score(there: int, became: dict[str, str], told: str, seconds: float) -> Score:
    """Return what is kept of a module: the counts by what became of the mutants, and the names of those not killed."""
    left = sorted(f"{name}: {status}" for name, status in became.items() if status not in KILLED)
    counts = dict(sorted(Counter(became.values()).items()))
    return {
        "digest": told, "all": there, "mutants": len(became), "killed": len(became) - len(left), "counts": counts,
        "left": left, "seconds": round(seconds, 1),
    }  # fmt: skip


def unfinished(became: dict[str, str]) -> bool:
    """Return whether somebody ended the run before every mutant was judged."""
    return bool({"not checked", "check was interrupted by user"} & set(became.values()))


def line(module: str, kept: Score) -> str:
    """Return what is told of a module."""
    counts = ", ".join(f"{number} {status}" for status, number in kept["counts"].items())
    sampled = "" if kept["all"] == kept["mutants"] else f", sampled of {kept['all']}"
    return f"{module}: {kept['killed']} of {kept['mutants']}{sampled} ({counts or 'nothing to change'})"


def show_left(room: Path, kept: Score) -> Iterator[str]:
    """Yield each surviving mutant as the change that it is."""
    for name in kept["left"]:
        command = [sys.executable, "-m", "mutmut", "show", name.split(":")[0]]
        yield subprocess.run(command, cwd=room, capture_output=True, text=True, check=False).stdout


def count(asked: argparse.Namespace, wanted: list[str], kept: dict[str, Score]) -> list[str]:
    """Judge each wanted module whose count is not kept already; what is counted is written down at once.

    Returns the modules that are counted; what could not be judged is told and stops no other.
    """
    counted = []
    with tempfile.TemporaryDirectory(prefix="toolcrib-mutants-") as name:
        room = Path(name)
        copy_into(room)
        for module in wanted:
            told = digest(module, room)
            if module not in kept or kept[module]["digest"] not in (told, f"{told}/{asked.digits}"):
                began = time.monotonic()
                try:
                    there, became = mutate(room, module, asked.children, asked.digits)
                except RuntimeError as error:
                    print(error, file=sys.stderr, flush=True)
                    continue
                told += f"/{asked.digits}" if asked.digits else ""
                kept[module] = score(there, became, told, time.monotonic() - began)
                asked.campaign.parent.mkdir(parents=True, exist_ok=True)
                asked.campaign.write_text(json.dumps(kept, indent=1, sort_keys=True))
                if asked.show:
                    print("\n".join(show_left(room, kept[module])), file=sys.stderr, flush=True)
            print(line(module, kept[module]), file=sys.stderr, flush=True)
            counted.append(module)
    return counted


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.mutants", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", default="*", help="modules, such as 'marketplace/audit/*'")
    parser.add_argument(
        "--campaign", type=Path, default=Path("data/campaigns/mutants.json"), help="where the sum is kept"
    )
    parser.add_argument("--fresh", action="store_true", help="begin again, whatever was counted before")
    parser.add_argument("--children", type=int, default=2, help="how many mutants are judged side by side")
    parser.add_argument("--digits", default="", help="judge only mutants whose number ends in one of these")
    parser.add_argument("--show", action="store_true", help="print the change of every mutant that survives")
    return parser.parse_args()


def main() -> int:
    """Run; returns 0 only if at least 95 % of all mutants asked for were killed."""
    asked = arguments()
    wanted = fnmatch.filter(modules(), asked.only)
    known = asked.campaign.is_file() and not asked.fresh
    kept: dict[str, Score] = json.loads(asked.campaign.read_text()) if known else {}
    counted = count(asked, wanted, kept)
    sums = {key: sum(kept[module][key] for module in counted) for key in ("mutants", "killed", "all", "seconds")}
    scores = [kept[module] for module in counted if kept[module]["mutants"]]
    share = sum(each["all"] * each["killed"] / each["mutants"] for each in scores) / max(sums["all"], 1)
    print(json.dumps({**sums, "share": round(share, 4), "seconds": round(sums["seconds"], 1)}), flush=True)
    return 0 if counted == wanted and share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
