import json
from pathlib import Path

import pytest

from gateway.config import Config, load
from gateway.doors import hosts_of, peers_of

SITE = {
    "schema": 1,
    "site": {
        "plant": "northworks",
        "gateway": "N1",
        "name": "Northworks",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "country": "DE",
    },
    "organisation": {"name": "Northworks", "ship_to": "Gate 4", "contact": "Maintenance"},
}


def configured(home: Path, **web: object) -> Config:
    path = home / "toolcrib.yaml"
    path.write_text(json.dumps(SITE | {"web": web}))
    return load(path)


def test_on_loopback_nobody_else_can_ask_and_no_proxy_is_named(tmp_path: Path):
    assert peers_of(configured(tmp_path)) == ()


def test_in_the_clear_only_trusted_proxies_may_ask(tmp_path: Path):
    config = configured(tmp_path, bind="0.0.0.0", trusted_proxies=["10.1.0.0/16"])
    assert [str(network) for network in peers_of(config)] == ["10.1.0.0/16"]


@pytest.mark.parametrize("bind", ["127.0.0.1", "localhost", "0.0.0.0", "10.0.0.5"])
def test_the_page_answers_to_the_names_that_the_site_gave(tmp_path: Path, bind: str):
    config = configured(
        tmp_path,
        bind=bind,
        trusted_proxies=["10.1.0.0/16"],
        hosts=["toolcrib.northworks.example"],
        public_url="https://parts.northworks.example",
    )
    hosts = hosts_of(config)
    assert {"127.0.0.1", "localhost", "toolcrib.northworks.example", "parts.northworks.example"} <= hosts
    assert "0.0.0.0" not in hosts
