from pathlib import Path

import pytest

from marketplace.suppliers.simulator.book import Book


@pytest.fixture
def book(tmp_path: Path):
    book = Book(tmp_path / "book.db")
    yield book
    book.close()


def test_a_page_is_there_after_the_book_was_closed(tmp_path: Path):
    first = Book(tmp_path / "b.db")
    first.put("order", "a", {"x": 1})
    first.close()
    second = Book(tmp_path / "b.db")
    assert second.get("order", "a") == {"x": 1}
    assert second.get("order", "b") is None
    second.close()


def test_pages_written_together_are_there_together_or_not_at_all(book):
    with pytest.raises(RuntimeError), book.all_or_nothing():
        book.put("order", "a", {})
        raise RuntimeError
    assert book.all("order") == []
    with book.all_or_nothing():
        book.put("order", "a", {})
        book.put("key", "k", {})
    assert len(book.all("order")) == len(book.all("key")) == 1


def test_numbers_count_on_by_name(book):
    assert [book.next_number("order"), book.next_number("order"), book.next_number("quotation")] == [1, 2, 1]


def test_old_pages_are_forgotten_and_new_ones_kept(book):
    for number in range(10):
        book.put("quotation", f"Q-{number}", number)
    book.put("order", "a", 1)
    book.forget_old("quotation", 3)
    assert book.all("quotation") == [7, 8, 9]
    assert book.all("order") == [1]
