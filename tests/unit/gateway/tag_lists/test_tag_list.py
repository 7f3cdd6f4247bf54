"""Lists of tags by table: every mistake by row and column, and nothing half imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.commands.application import application
from gateway.config import Config, load
from gateway.tag_lists.table import TableBroken, read_table, write_table
from gateway.tag_lists.tag_list import judge, rows_of
from tests.journeys.test_reload import SITE

DOCUMENT = """\
# our hall
{head}
connections:
  hall: {{connector: opcua, url: "opc.tcp://10.0.0.5:4840", insecure: true}}
  plc: {{connector: modbus, host: 10.0.0.9}}
machines:
  mill:                       # the old one
    name: Mill
    connection: hall
    tags:
      load: {{node: "nsu=urn:maker;s=load", unit: "%"}}   # asked for by Ben
      speed: {{node: "nsu=urn:maker;s=speed", unit: 1/min}}
  pump:
    name: Pump
    connection: plc
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in SITE.items())
    path = tmp_path / "toolcrib.yaml"
    path.write_text(DOCUMENT.format(head=head))
    return path


@pytest.fixture
def config(file: Path) -> Config:
    return load(file)


def table(tmp_path: Path, text: str, name: str = "tags.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def run(*words: Any) -> tuple[int, str]:
    result = CliRunner().invoke(application(), [str(word) for word in words])
    return (result.exit_code if isinstance(result.exit_code, int) else 1), result.output


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_what_is_exported_is_imported_as_no_change(tmp_path: Path, config: Config, ending: str):
    path = tmp_path / f"tags.{ending}"
    write_table(path, *rows_of(config))
    change, mistakes = judge(read_table(path), config)
    assert mistakes == []
    assert change.is_empty
    assert dict(read_table(path).rows[0].cells) == {
        "machine": "mill",
        "tag": "load",
        "node": "nsu=urn:maker;s=load",
        "unit": "%",
    }


def test_tags_of_both_kinds_come_into_the_config_and_comments_stay(tmp_path: Path, file: Path):
    path = table(
        tmp_path,
        "machine;tag;unit;node;register;type\nmill;temperature;°C;nsu=urn:maker;s=temp;;\n".replace(
            "nsu=urn:maker;s=temp", '"nsu=urn:maker;s=temp"'
        )
        + 'mill;load;1;"nsu=urn:maker;s=load";;\n'
        + "pump;pressure;bar;;40011;float32\n",
    )
    code, said = run("tags", "import", path, "--config", file)
    assert (code, said.splitlines()[-1]) == (0, "2 new, 1 changed, 0 gone")
    after = load(file)
    assert after.tags["mill/load"].unit == "1"
    assert after.tags["pump/pressure"].model_dump()["register_"] == 40011
    text = file.read_text()
    assert "# our hall" in text
    assert "# the old one" in text
    assert run("tags", "import", path, "--config", file)[1].splitlines() == ["0 new, 0 changed, 0 gone"]


def test_a_dry_run_shows_the_difference_and_changes_nothing(tmp_path: Path, file: Path):
    before = file.read_bytes()
    path = table(tmp_path, "machine,tag,unit,node\nmill,load,%,nsu=urn:maker;s=load\nmill,new,mm,i=5\n")
    code, said = run("tags", "import", path, "--config", file, "--dry-run", "--replace")
    assert code == 0
    assert said.splitlines() == ["+ mill/new", "- mill/speed", "would be: 1 new, 0 changed, 1 gone"]
    assert file.read_bytes() == before
    assert run("tags", "import", path, "--config", file, "--replace")[0] == 0
    assert sorted(load(file).tags) == ["mill/load", "mill/new"]


def test_ten_thousand_rows_with_three_mistakes_are_three_messages_and_no_import(tmp_path: Path, file: Path):
    lines = [f"mill,t{number},mm,nsu=urn:maker;s=t{number}," for number in range(10_000)]
    lines[99] = "mil,t99,mm,nsu=urn:maker;s=t99,"
    lines[4999] = "mill,t4999,mm,ns=2;s=t4999,"
    lines[9999] = "mill,t7,mm,nsu=urn:maker;s=t7,"
    before = file.read_bytes()
    path = table(tmp_path, "\n".join(["machine,tag,unit,node,deadband", *lines]) + "\n")
    code, said = run("tags", "import", path, "--config", file)
    assert code == 2
    first, second, third, last = [line for line in said.splitlines() if "tags.csv:" in line or "mistakes" in line]
    assert first.startswith("tags.csv:101:machine: ")
    assert "mill" in first
    assert second.startswith("tags.csv:5001:node: ")
    assert third == "tags.csv:10001:tag: mill/t7 stands in row 9 already"
    assert last == "3 mistakes; nothing was imported"
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("mill,a,,nsu=u;s=a,", "unit", "missing"),
        ("mill,a b,mm,nsu=u;s=a,", "tag", "key"),
        (",a,mm,nsu=u;s=a,", "machine", "missing"),
        ("mill,a,mm,nsu=u;s=a,5", "deadband", "number and its unit"),
        ("pump,a,bar,nsu=u;s=a,", "node", "not known"),
    ],
)
def test_a_mistake_is_named_by_row_and_column(tmp_path: Path, config: Config, row: str, column: str, says: str):
    _change, mistakes = judge(read_table(table(tmp_path, f"machine,tag,unit,node,deadband\n{row}\n")), config)
    (found,) = [each for each in mistakes if each.column == column]
    assert found.row == 2
    assert says in found.message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"machine,machine\n", "each column once"),
        (b"machine,tag\nmill,a,b\n", "tags.csv:2:"),
        (b"machine,tag\n\xff\xfe,a\n", "UTF-8"),
        (b'machine,tag\n"mill,a\n', "no CSV"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str):
    path = tmp_path / "tags.csv"
    path.write_bytes(content)
    with pytest.raises(TableBroken, match=says):
        read_table(path)


def test_a_file_that_only_looks_like_a_spreadsheet_is_refused(tmp_path: Path):
    with pytest.raises(TableBroken, match="no XLSX"):
        read_table(table(tmp_path, "machine,tag\n", "tags.xlsx"))


def test_numbers_of_a_spreadsheet_are_what_a_person_typed(tmp_path: Path, config: Config):
    path = tmp_path / "tags.xlsx"
    write_table(path, ["machine", "tag", "unit", "register"], [{"machine": "pump", "tag": "p", "unit": "bar"}])
    import openpyxl

    book = openpyxl.load_workbook(path)
    book.worksheets[0]["D2"] = 40001
    book.save(path)
    change, mistakes = judge(read_table(path), config)
    assert mistakes == []
    assert change.new == {"pump": {"p": {"unit": "bar", "register": 40001}}}
