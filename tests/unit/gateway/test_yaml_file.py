from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.yaml_file import FILE_MAX, Mistakes, Position, dotted, parse, read, scalar


def said(text: str | bytes) -> list[str]:
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(Mistakes) as caught:
        parse(raw, "f.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_every_key_and_value_has_its_place():
    file = parse(b"a:\n  b: [1, two]\n", "f.yaml")
    assert file.data == {"a": {"b": [1, "two"]}}
    assert file.keys["a", "b"] == Position(2, 3)
    assert file.values["a", "b", 1] == Position(2, 10)


def test_a_place_that_is_not_there_is_told_by_what_is_nearest_above():
    assert parse(b"a:\n  b: 1\n", "f").locate(("a", "c", "d")) == Position(2, 3)


def test_words_mean_what_yaml_1_2_says_and_norway_stays_a_country():
    written = "a: NO\nb: yes\nc: 007\nd: '5'\ne: 1e3\nf: 10.0.0.9\ng:\nh: true\ni: 2027-12-31T00:00:00Z\n"
    assert parse(written.encode(), "f").data == {
        "a": "NO", "b": "yes", "c": "007", "d": "5", "e": 1000.0, "f": "10.0.0.9", "g": None, "h": True,
        "i": "2027-12-31T00:00:00Z",
    }  # fmt: skip


def test_a_key_given_twice_names_the_first_line():
    assert said("a: 1\nb: 2\na: 3\n") == ["f.yaml:3:1: a: is given twice; first in line 1"]


def test_anchors_aliases_and_tags_are_refused():
    assert said("a: &x 1\nb: *x\n") == [
        "f.yaml:1:4: a: anchors are not allowed; write the value out",
        "f.yaml:2:4: b: aliases are not allowed; write the value out",
    ]
    assert "tags such as" in said("a: !!python/object:os.system ls\n")[0]


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor():
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    assert all("not allowed" in line for line in said(bomb))


def test_a_tab_is_named():
    assert said("a:\n\t- 1\n") == ["f.yaml:2:1: a tab cannot indent; use spaces"]


def test_deep_nesting_is_refused():
    assert "nested too deeply" in said("[" * 100_000)[0]


def test_a_large_file_is_refused():
    assert said(b"#" * (FILE_MAX + 1)) == ["f.yaml:1:1: the file is larger than 8192 KiB"]


def test_what_is_not_text_is_refused_at_its_place():
    assert said(b"a: 1\nb: \xff") == ["f.yaml:2:4: this is not UTF-8 text"]


@pytest.mark.parametrize(
    "text", ["", "# only this\n", "- 1\n", "a", "--- \na: 1\n---\nb: 2\n", "a: [1\n", "? [1]\n: 2\n"]
)
def test_what_is_no_mapping_is_a_mistake(text):
    assert said(text)


def test_a_file_is_read_by_its_name(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\nb: &c 2\n")
    with pytest.raises(Mistakes, match=r"x\.yaml:2:4: b: anchors"):
        read(path)


def test_places_are_written_as_people_do():
    assert dotted(("a", 2, "b")) == "a[2].b"


@given(st.text(max_size=200))
def test_any_text_is_a_tree_or_mistakes(text):
    with suppress(Mistakes):
        assert isinstance(parse(text.encode(errors="surrogatepass"), "f").data, dict)


@given(st.integers(-(10**17), 10**17))
def test_integers_come_back(number):
    assert scalar(str(number)) == number
