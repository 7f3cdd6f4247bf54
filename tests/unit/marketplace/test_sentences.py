from marketplace.sentences import SENTENCES, sentence


def test_a_code_becomes_a_sentence():
    assert (
        sentence("ORDER_LIMIT_EXCEEDED", {"total": "900.00 EUR", "limit": "500.00 EUR"})
        == "The total of 900.00 EUR is above the limit of 500.00 EUR for one order."
    )


def test_a_code_of_another_version_speaks_for_itself():
    assert sentence("MOON_PHASE", {"moon": "full"}) == "MOON_PHASE (moon full)"
    assert sentence("MOON_PHASE", {}) == "MOON_PHASE"


def test_what_is_missing_shows():
    assert all("{" not in sentence(rule, {}) for rule in SENTENCES)
    assert "?" in sentence("MANDATE_ENDED", {})


def test_a_supplier_cannot_write_our_sentences():
    assert sentence("SUPPLIER_SUSPENDED", {"supplier": "{total}{0}"}) == "The supplier {total}{0} is suspended."
