"""The state tables are the only way that anything moves, and the page that draws them draws them from themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from marketplace.ordering.states import OrderState, RequisitionState, mermaid, rows

ROOT = Path(__file__).parents[2]
PACKAGES = ("connectors", "maintenance", "marketplace", "gateway")
STATEFUL = {"purchase_order", "requisition", "requisitions"}
"""What the tables with a state column are called where they are used."""
BEGIN, END = "<!-- states:begin -->", "<!-- states:end -->"
WALKERS = {"marketplace/ordering/edges.py"}
"""Where states move."""
BIRTHS = {
    "marketplace/ordering/orders.py": "PROPOSED",
    "marketplace/ordering/requisition.py": "NEEDED",
    "marketplace/ordering/serving.py": "NEEDED",
}
"""Where rows are made, and the first state that each is made in."""


def sources() -> list[Path]:
    """Every module but the benchmarks, which fill a database of their own."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if path.parent.name != "benchmarks"]


def named(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def about(call: ast.Call) -> bool:
    """Whether the first argument of a call is a table with a state."""
    first = call.args[0] if call.args else None
    name = first.attr if isinstance(first, ast.Attribute) else getattr(first, "id", "")
    return name in STATEFUL


def writes_state(source: str) -> list[int]:
    """Return the lines in which a program sets the state of an order or a requisition by itself."""
    tree, found = ast.parse(source), []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg for keyword in node.keywords}
        chain = {
            named(inner) for inner in ast.walk(node) if isinstance(inner, ast.Call) and (about(inner) or inner is node)
        }
        if named(node) == "values" and "update" in chain and "state" in keywords:
            found.append(node.lineno)
        if named(node) == "set" and "state" in keywords:  # bookkeeping columns only
            found.append(node.lineno)
        texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if any("update" in text.lower() and table in text.lower() for text in texts for table in STATEFUL):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_but_the_edges_writes_a_state(path: Path):
    place = str(path.relative_to(ROOT))
    if "migrations" not in place and place not in WALKERS:
        assert writes_state(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "tx.execute(update(purchase_order).where(x).values(state='closed'))",
        "tx.execute(update(store.requisition).values(state=after, at=now))",
        "sending.set(number, state=after)",
        "tx.execute(text('UPDATE purchase_order SET state = 1'))",
    ],
)
def test_the_check_bites(source: str):
    assert writes_state(source) != []


@pytest.mark.parametrize(("place", "first"), BIRTHS.items())
def test_what_is_born_is_born_in_its_first_state(place: str, first: str):
    tree = ast.parse((ROOT / place).read_text())
    given = [
        value.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "state" and isinstance(value, ast.Attribute)
    ]
    assert given == [first]


def test_rows_with_a_state_are_born_in_these_places_only():
    born = set()
    for path in sources():
        tree = ast.parse(path.read_text())
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        if any(named(call) == "insert" and about(call) for call in calls):
            born.add(str(path.relative_to(ROOT)))
    assert born == set(BIRTHS)


def test_the_drawing_holds_every_state_and_every_edge():
    drawn = mermaid()
    for _document, before, after, effect in rows():
        edge = f"    {before} --> {after}"
        assert (edge if effect == "none" else f"{edge}: {effect}") + "\n" in drawn
    assert drawn.count("stateDiagram-v2") == 2
    assert drawn.count(" --> [*]") == 2 + 6  # fulfilled and withdrawn; six ends of an order
    for state in (*OrderState, *RequisitionState):
        assert f" {state}" in drawn


def test_the_command_prints_the_drawing():
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "states", "--mermaid"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.rstrip("\n") == mermaid().rstrip("\n")


def test_the_architecture_page_draws_the_tables_as_they_are():
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert page.count(BEGIN) == page.count(END) == 1, (
        f"put the output of 'toolcrib states --mermaid' between {BEGIN} and {END} into ARCHITECTURE.md"
    )
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == mermaid().strip()
