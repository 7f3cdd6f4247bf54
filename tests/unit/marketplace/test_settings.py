from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marketplace.money import Money, Rate
from marketplace.settings import (
    CREDENTIALS,
    BuyingSettings,
    ItemSettings,
    SecretMissing,
    SecretReference,
    SupplierSettings,
    TimingSettings,
    UnknownAdapter,
    supplier_type,
    supplier_types,
)
from marketplace.suppliers.by_hand import ByHandSupplier
from marketplace.suppliers.dry_run import DryRunSettings
from marketplace.suppliers.http import HttpSettings, HttpSupplier
from marketplace.timing import Costs

FIVE = {"lead_time": "14 d", "price": "380 EUR", "standstill": "900 EUR/h"}


def test_the_numbers_of_a_component_carry_their_units():
    buying = BuyingSettings.model_validate(FIVE | {"holding": "76 EUR/year"})
    assert buying.lead_time == timedelta(days=14)
    assert buying.price == Money(38000, "EUR")
    assert buying.standstill == Rate(Money(90000, "EUR"), timedelta(hours=1))
    assert buying.holding_rate == Rate(Money(7600, "EUR"), timedelta(hours=8766))


def test_keeping_one_costs_a_fifth_of_its_price_a_year_where_nothing_is_said():
    assert BuyingSettings.model_validate(FIVE).holding_rate == Rate(Money(7600, "EUR"), timedelta(hours=8766))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lead_time", "14"),
        ("lead_time", "14 bananas"),
        ("lead_time", "-1 d"),
        ("lead_time", 14),
        ("price", "380"),
        ("price", "380 XXX"),
        ("price", "-380 EUR"),
        ("price", "380.001 EUR"),
        ("price", float("nan")),
        ("standstill", "900 EUR"),
        ("standstill", "900 EUR/mm"),
        ("standstill", "900/h"),
        ("holding", "76 USD/year"),
        ("speed", "3 m/s"),
    ],
)
def test_a_number_without_its_unit_or_out_of_sense_is_refused(key, value):
    with pytest.raises(ValidationError):
        BuyingSettings.model_validate(FIVE | {key: value})


def test_what_was_read_is_written_so_that_it_reads_the_same():
    buying = BuyingSettings.model_validate(FIVE | {"holding": "76.50 EUR/year", "lead_time": "1.5 d"})
    assert BuyingSettings.model_validate(buying.model_dump(mode="json")) == buying
    timing = TimingSettings.model_validate({"failure_probability": "2.5 %", "step": "30 min"})
    assert TimingSettings.model_validate(timing.model_dump(mode="json")) == timing


def test_a_schema_shows_texts_with_examples():
    properties = BuyingSettings.model_json_schema()["properties"]
    assert properties["lead_time"]["type"] == "string"
    assert properties["standstill"]["examples"] == ["900 EUR/h"]


@pytest.mark.parametrize("text", ["0 %", "100 %", "-5 %", "5", "0.05", "5 h", 5, True])
def test_a_threshold_is_a_percentage_between_never_and_always(text):
    with pytest.raises(ValidationError):
        TimingSettings.model_validate({"failure_probability": text})


def test_timing_becomes_terms_with_what_a_component_costs():
    buying = BuyingSettings.model_validate(FIVE | {"holding": "87.66 EUR/year", "lead_time_spread": "0 %"})
    terms = TimingSettings.model_validate({"failure_probability": "5 %", "approval": "8 h"}).terms(buying)
    assert terms.failure_probability == pytest.approx(0.05)
    assert terms.arrival == timedelta(days=14, hours=9)
    assert terms.costs == Costs("EUR", 380.0, 380.0 + 8 * 900.0, 900.0, pytest.approx(0.01))
    assert [supply.delays for supply in terms.supplies] == [(344.0,) * 5]


def test_a_lead_time_is_a_median_with_a_spread_and_a_failure_may_cost_what_the_plant_says():
    buying = BuyingSettings.model_validate(FIVE | {"lead_time_spread": "30 %", "failure": "5000 EUR"})
    terms = TimingSettings().terms(buying)
    assert (terms.failure_probability, terms.costs and terms.costs.failure) == (None, 5380.0)
    earliest, *_, latest = terms.supplies[0].delays
    assert (earliest - 8) / 336 == pytest.approx(336 / (latest - 8)) == pytest.approx(0.68, abs=0.01)


@pytest.mark.parametrize("text", ["-1 %", "101 %", "5 h", "5"])
def test_a_spread_is_a_percentage(text):
    with pytest.raises(ValidationError):
        BuyingSettings.model_validate(FIVE | {"lead_time_spread": text})


def test_an_item_is_its_manufacturer_and_mpn():
    item = ItemSettings.model_validate({"manufacturer": "Nordlager", "mpn": "NL-7014-P4"}).item("bearing-7014")
    assert (item.key, item.mpn, item.unit) == ("bearing-7014", "NL-7014-P4", "C62")


def test_settings_do_not_change_afterwards():
    with pytest.raises(ValidationError):
        TimingSettings().approval = timedelta(0)  # type: ignore[misc]


class TestSecretReference:
    def test_a_file_is_looked_for_beside_the_config(self, tmp_path: Path):
        (tmp_path / "token").write_text("s3cret\n")
        assert SecretReference.model_validate({"file": "token"}).read(tmp_path) == "s3cret"

    def test_a_credential_is_where_systemd_puts_it(self, tmp_path: Path, monkeypatch):
        (tmp_path / "kontor").write_text("s3cret")
        monkeypatch.setenv(CREDENTIALS, str(tmp_path))
        assert SecretReference.model_validate({"credential": "kontor"}).read(Path("/elsewhere")) == "s3cret"

    def test_a_credential_without_systemd_says_so(self, monkeypatch, tmp_path: Path):
        monkeypatch.delenv(CREDENTIALS, raising=False)
        with pytest.raises(SecretMissing, match="needs systemd"):
            SecretReference(credential="kontor").read(tmp_path)

    def test_one_written_inline_is_refused_and_not_repeated(self):
        with pytest.raises(ValidationError) as refused:
            HttpSettings.model_validate(
                {"adapter": "http", "name": "K", "url": "https://example.com", "token": "hunter2-hunter2"}
            )
        assert "named, never written" in str(refused.value)
        assert "hunter2" not in str(refused.value)

    @pytest.mark.parametrize("reference", [{}, {"file": "a", "credential": "b"}, {"credential": "../../etc/passwd"}])
    def test_one_place_is_named(self, reference):
        with pytest.raises(ValidationError):
            SecretReference.model_validate(reference)

    @pytest.mark.parametrize("content", [b"", b"  \n", b"two\nlines", b"\xff\xfe", b"x" * 5000, b"a\x00b"])
    def test_what_is_no_secret_is_refused_and_not_repeated(self, tmp_path: Path, content):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(SecretMissing) as refused:
            SecretReference(file=Path("token")).read(tmp_path)
        assert "lines" not in str(refused.value).replace("one line", "")

    def test_a_missing_file_is_named(self, tmp_path: Path):
        with pytest.raises(SecretMissing, match=r"nowhere.*No such file"):
            SecretReference(file=Path("nowhere")).read(tmp_path)


class TestSupplierTypes:
    def test_adapters_are_found_by_entry_points(self):
        assert supplier_types()["http"] is HttpSupplier
        assert supplier_type("by_hand") is ByHandSupplier

    def test_one_that_is_not_installed_is_named_with_those_that_are(self):
        with pytest.raises(UnknownAdapter, match=r"'cxml'.*by_hand, .*http"):
            supplier_type("cxml")

    def test_every_adapter_has_its_own_settings(self):
        assert all(issubclass(kind.Settings, SupplierSettings) for kind in supplier_types().values())

    @pytest.mark.parametrize(
        "url", ["ftp://host/", "https://", "kontor", "https://u:p@host/", "https://host/?q=1", "https://host/#f"]
    )
    def test_an_address_is_an_address_and_nothing_else(self, url):
        with pytest.raises(ValidationError):
            HttpSettings.model_validate({"adapter": "http", "name": "K", "url": url, "token": {"file": "t"}})

    def test_a_dry_run_is_of_a_real_supplier(self):
        of = {"adapter": "http", "name": "K", "url": "https://example.com", "token": {"file": "t"}}
        settings = DryRunSettings.model_validate({"adapter": "dry_run", "name": "Practice", "of": of})
        assert isinstance(settings.of, HttpSettings)
        for wrong in ({}, "http", {"adapter": "cxml"}, {"adapter": "dry_run"}, of | {"surprise": 1}):
            with pytest.raises(ValidationError):
                DryRunSettings.model_validate({"adapter": "dry_run", "name": "Practice", "of": wrong})


class TestRate:
    RATE = Rate(Money(90000, "EUR"), timedelta(hours=1))

    def test_time_costs_in_proportion_rounded_once(self):
        assert self.RATE.over(timedelta(minutes=90)) == Money(135000, "EUR")
        assert Rate(Money(1, "EUR"), timedelta(hours=2)).over(timedelta(hours=1)) == Money(1, "EUR")

    def test_time_that_has_passed_backwards_costs_nothing(self):
        assert self.RATE.over(timedelta(hours=-1)) == Money(0, "EUR")

    def test_a_rate_of_several_is_their_sum(self):
        assert self.RATE.times(Decimal(3)).over(timedelta(hours=1)) == Money(270000, "EUR")

    @pytest.mark.parametrize(("minor", "hours"), [(-1, 1), (1, 0), (1, -1)])
    def test_a_rate_below_zero_or_for_no_time_is_refused(self, minor, hours):
        with pytest.raises(ValueError, match="not below zero"):
            Rate(Money(minor, "EUR"), timedelta(hours=hours))


@given(st.timedeltas(timedelta(0), timedelta(days=3000)), st.timedeltas(timedelta(0), timedelta(days=3000)))
def test_longer_never_costs_less(one, other):
    assert TestRate.RATE.over(one + other) >= TestRate.RATE.over(one)
