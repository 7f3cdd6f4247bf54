"""A config and a policy for a gateway beside a simulated factory and a simulated market, from what both said of
themselves (`toolcrib simulate ... --tell FILE`).

The gateway gets what a real one would have: addresses, the fingerprint to pin, and its own copy of each supplier's
token. What lets one act on the simulated machines is never read.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

from gateway.demo import plant


class SiteFailed(Exception):
    """The site was not written; `str()` says why."""


def write_site(
    path: Path, factory: Path, market: Path, *, public_url: str | None = None, trusted_proxy: str | None = None
) -> None:
    """Write a config, a policy and the tokens beside it; an existing config stays as it is.

    factory, market: the files that the simulators told. trusted_proxy: who hands on the page to browsers, if not they
    themselves connect; then the page listens on every address. Raises `SiteFailed`.
    """
    if path.exists():
        return
    try:
        machines, sellers = json.loads(factory.read_text()), json.loads(market.read_text())
        tokens = _copy_tokens(market.parent, sellers["tokens"], path.parent / "secrets")
        suppliers = plant.market(sellers["addresses"], tokens)
        around = plant.Surroundings(machines, suppliers, getpass.getuser(), 8080)
        document = plant.config(around, plant.machines(machines))
        document["web"] |= _web(public_url, trusted_proxy)
        document["storage"]["directory"] = "data"
        plant.write(path.with_name("policy.yaml"), plant.policy(), "Counts once 'toolcrib policy apply' was run.")
        plant.write(path, document, "A gateway beside a simulated factory and a simulated market.")
    except OSError as error:
        raise SiteFailed(_("{path} cannot be written: {reason}").format(path=path, reason=error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SiteFailed(_("what the simulators told cannot be understood: {reason}").format(reason=error)) from error


def _web(public_url: str | None, trusted_proxy: str | None) -> dict[str, Any]:
    web: dict[str, Any] = {}
    if public_url is not None:
        web["public_url"] = public_url
    if trusted_proxy is not None:
        web |= {"bind": "0.0.0.0", "trusted_proxies": [trusted_proxy]}  # noqa: S104 - a container's own network
    return web


def _copy_tokens(source: Path, named: Mapping[str, str], target: Path) -> dict[str, str]:
    """Copy suppliers' tokens, which stand beside the market's file, and return where each is now."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = {}
    for supplier, place in named.items():
        if supplier not in plant.SUPPLIERS:
            continue
        copy = target / supplier
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write((source / Path(place).name).read_text())
        found[supplier] = f"{target.name}/{supplier}"
    return found
