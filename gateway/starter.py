"""What `toolcrib init` writes: a config and a policy that are valid, explain themselves, and buy nothing unasked.

Every component is on *ask*, the page is on loopback, the suppliers are by hand: nothing leaves the plant before a
person has changed a line and applied a policy. Existing files are never touched.
"""

from __future__ import annotations

import getpass
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

CONFIG: Final = """\
# Toolcrib: one site. Every value carries its unit. Keys are permanent identifiers, names are free.
# 'toolcrib check {file}' says every mistake with its line; add --live to ask the machines, too.
schema: 1

site:
  plant: northworks              # stands in every row and every audit entry; never change it
  gateway: G1                    # two of A-Z and 0-9; stands in every order number
  name: Northworks, hall 2
  time_zone: Europe/Berlin
  currency: EUR
  country: DE

organisation:                    # stands on every order
  name: Northworks GmbH
  vat_id: DE123456789
  ship_to: "Northworks GmbH, Gate 3, Werkstrasse 7, 70565 Stuttgart"
  bill_to: "Northworks GmbH, Accounts, Werkstrasse 7, 70565 Stuttgart"
  contact: "Stores, +49 711 555 0100"
  cost_centre: "4711"
  erp_reference: ""

people:                          # who may do what; os_user is their user name on this computer
  {person}:
    name: {person}
    os_user: {user}
    may: [approve, apply_policy, operate]
    approval_limit: 2000 EUR

storage: {{directory: data, keep_samples: 30 d}}

web: {{bind: 127.0.0.1, port: 8080}}

connections:
  # A machine on OPC-UA. Without server_certificate the connection is refused; 'toolcrib trust list' names the
  # fingerprint that the server shows: compare it at the machine, then pin it here, or by 'toolcrib trust pin'.
  # hall-2:
  #   connector: opcua
  #   url: "opc.tcp://10.0.0.5:4840"
  #   server_certificate: "sha256:<64 hexadecimal digits>"
  # 'toolcrib discover URL' shows who is there, 'toolcrib browse URL' what it has, and 'toolcrib adopt URL' takes over
  # a machine that describes itself, with its parts and lifetimes, without a tag being typed.
  # A machine on Modbus. Plain Modbus proves nothing about who speaks, so its orders always ask a person.
  # compressor-plc: {{connector: modbus, host: 10.0.0.9, port: 502, device_id: 1}}

machines:
  mill:
    name: CNC mill 3
    # connection: hall-2
    # tags:
    #   spindle-vibration: {{node: "nsu=urn:maker:plant;s=mill.vibration", unit: mm/s}}
    components:
      spindle-bearing:
        name: Spindle bearing
        # The five numbers: rated life, lead time, part price, cost of an hour's standstill, and what keeping one on
        # the shelf costs (holding, a fifth of the price a year if left out).
        rated_life: 20000 h
        wear: {{by: usage, hours_per_day: 16}}      # no tag needed: 'toolcrib reading mill/spindle-bearing "1200 h"'
        # wear: {{by: level, tag: spindle-vibration, as_new: 1.2 mm/s, limit: 7.1 mm/s}}
        job:
          title: Replace the spindle bearing
          duration: 6 h
          tools: [bearing heater, torque wrench]      # what must be at hand, and what whoever does it must know
          skills: [spindle alignment]
          lines:
            bearing: {{item: bearing-7014, quantity: 2, kind: part}}
        buying: {{lead_time: 14 d, price: 380 EUR, standstill: 900 EUR/h}}

# Several jobs for a component, and which of them a symptom calls for: rows are tried in their order, the first that
# fits decides, and without one it is the component's own job. 'toolcrib needs MACHINE/COMPONENT' shows the evidence.
# jobs:
#   relubricate: {{title: Relubricate, lines: {{grease: {{item: grease, quantity: 1, kind: consumable}}}}}}
# symptoms:
#   - {{component: "*/spindle-bearing", evidence: DEVIATION_TAG, tag: spindle-temperature, job: relubricate}}
#   - {{component: "*/spindle-bearing", said: squeals, job: relubricate}}         # a person: 'toolcrib symptom'
#   - {{component: "*/spindle-bearing", said: seized, failure: true}}             # it has failed; its own job

items:                           # a part is its manufacturer and its part number (mpn); unit C62 is a piece
  bearing-7014:
    manufacturer: Nordlager
    mpn: NL-7014-P4
    description: Angular contact bearing 7014
    unit: C62

suppliers:
  corner-shop:                   # asked by telephone: the order is a text to read out, a person types the answer in
    adapter: by_hand
    name: Huber Werkzeuge
    account: "331"
    phone: "+49 711 555 0177"
  # web-shop:
  #   adapter: http
  #   name: Kontor Lagertechnik
  #   url: "https://orders.kontor.example"
  #   token: {{file: secrets/kontor}}       # a secret is named, never written here
  #   account: "K-20991"

timing: {{approval: 8 h, step: 1 h, quote_deadline: 5 s}}

# When machines may be worked on, each week or once, in the site's time zone; at any time if left out. A job's line of
# kind 'service' is booked for the first window with room for the job after its parts are here.
# A window may be for some machines alone; a machine for which there is none may be worked on at any time.
# maintenance_windows:
#   - saturday 06:00-14:00
#   - monday-friday 22:00-06:00
#   - 2026-12-12 06:00 to 14:00
#   - {{when: sunday 06:00-18:00, machines: [mill]}}

# How long somebody may take to acknowledge an alarm about money ('toolcrib alarms') before it stops what it names.
# Beside it, by kind, alarms about machines, which stop nothing: 'toolcrib alarms kinds' lists them, each with its usual
# limit and delays, such as 'health_low: {{limit: 20 %, band: 5 %}}'; a component may have an 'alarms' of its own.
alarms: {{acknowledge_within: {{default: 8 h}}}}

policy: {policy}                 # only the place; it counts once a person runs 'toolcrib policy apply {policy}'

# A shadow watches and decides, keeps what it would buy ('toolcrib shadow'), and reaches no supplier.
# shadow: true
"""

POLICY: Final = """\
# What may be bought, by whom, up to how much. Editing this file changes nothing: a named person puts it into force
# with 'toolcrib policy apply {file}'. Whatever is left out asks a person, or is not bought.
schema: 1

mandate:                         # without a mandate no money is spent, not even with a person's approval
  granted_by: {person}
  machines: ["*"]
  per_order: 500 EUR
  until: {until}

window: {{days: 30, per_machine: 2000 EUR}}    # short for a limit for each machine

# Further limits; every one that fits an order applies. Scopes: order, component, machine, supplier, category (of the
# item), plant. per: day or month of the site's calendar (needs time_zone), a rolling window such as 30 d, or total.
# limits:
#   - {{scope: plant, per: month, amount: 10000 EUR}}
#   - {{scope: machine, key: mill, per: month, amount: 3000 EUR}}
#   - {{scope: supplier, each: true, per: day, count: 5}}       # orders, not money
#   - {{scope: order, category: tools, amount: 200 EUR}}
# time_zone: Europe/Berlin       # the site's
# rates:                         # only where suppliers charge in another currency than a limit: pinned by you, by hand
#   base: EUR
#   good_for_days: 30            # older than that, a person is asked
#   of: {{USD: {{rate: "0.92", dated: 2026-03-01}}}}            # one dollar is 0.92 EUR
# checks:                        # what is looked at before each order; these are what counts if nothing is said
#   price_collar: "1.5"          # times the last price
#   own_price_most: "3"          # times the component's own price
#   duplicate_days: 1            # the same for the same component within so many days asks
#   supplier_orders: {{minute: 5, hour: 20, day: 60}}

amounts: net

modes:
  default: ask                   # watch, advise, ask, buy
  # mill/spindle-bearing: buy    # from then on orders within the limits go out unasked

known: {{}}                        # suppliers and items that you vouch for: no question at the first order
"""
MANDATE_LIFE: Final = timedelta(days=365)


class AlreadyThere(Exception):
    """A file that would have been written exists; nothing was written."""


def write(path: Path, now: datetime) -> tuple[Path, Path]:
    """Write a config and a policy beside it, and return both. Raises `AlreadyThere`; OSError when it cannot."""
    policy = path.with_name("policy.yaml" if path.stem == "toolcrib" else f"{path.stem}.policy.yaml")
    for each in (path, policy):
        if each.exists():
            raise AlreadyThere(str(each))
    until = (now.astimezone(UTC) + MANDATE_LIFE).strftime("%Y-%m-%dT00:00:00Z")
    user = _user()
    person = re.sub(r"[^A-Za-z0-9_.-]", "-", user).strip("-._") or "owner"
    _write_new(policy, POLICY.format(file=policy.name, person=person, until=until))
    _write_new(path, CONFIG.format(file=path.name, policy=policy.name, person=person, user=_quoted(user)))
    return path, policy


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:  # never over a file that appeared meanwhile
        file.write(text)
