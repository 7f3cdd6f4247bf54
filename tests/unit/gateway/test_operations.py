"""What people do: confirming a restore, plainly or in a new epoch of the log; and reporting symptoms."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.actions import Outcome, Right
from gateway.operations import Operations
from maintenance.symptoms import SymptomSettings
from marketplace.audit.keys import KeyUnreadable
from marketplace.audit.note import KeyKind, VerifierKey
from marketplace.ordering.purchase import Act

KEY = VerifierKey("toolcrib/northworks/G1/20260302T080000Z", KeyKind.LOG, b"k" * 32)


@dataclass
class Anna:
    may: frozenset[Right] = frozenset({Right.APPLY_POLICY})
    approval_limit: None = None


@dataclass
class Site:
    people: dict[str, Anna] = field(default_factory=lambda: {"anna": Anna()})


@dataclass
class Fresh:
    """What a restore left, of three entries; `code` is why nothing can be lost to a witness."""

    code: str = ""
    confirmed: bool = False

    def lost_from(self) -> tuple[int | None, str]:
        return (None, self.code) if self.code else (3, "")

    async def confirm(self, _person: Any) -> Act:
        self.confirmed = True
        return Act(True, "RESTORE_CONFIRMED")


@dataclass
class Log:
    """The care of a log; `key` is that of the epoch that it begins, or why it begins none."""

    key: VerifierKey | Exception | None = KEY
    began: list[tuple[str, int]] = field(default_factory=list)

    async def begin_epoch(self, actor: Any, entries: int) -> VerifierKey | None:
        self.began.append((actor.id, entries))
        if isinstance(self.key, Exception):
            raise self.key
        return self.key


class Nobody:
    def tell(self, _what: set[str]) -> None:
        """Nobody looks."""


async def confirmed(restoration: Fresh, log: Log, person: str = "anna", *, new_epoch: bool = True) -> Outcome:
    parts: list[Any] = [Site(), None, None, Nobody(), None, log, restoration, None]
    return await Operations(*parts).confirm_restore(person, "socket", new_epoch=new_epoch)


async def test_a_restore_is_confirmed_without_an_epoch_unless_a_person_asks_for_one():
    log = Log()
    done = await confirmed(Fresh(), log, new_epoch=False)
    assert (done.code, log.began) == ("RESTORE_CONFIRMED", [])


async def test_a_new_epoch_names_the_key_that_witnesses_must_take_and_confirms():
    restoration, log = Fresh(), Log()
    done = await confirmed(restoration, log)
    assert (done.ok, done.code, restoration.confirmed) == (True, "RESTORE_CONFIRMED", True)
    assert (str(KEY) in done.message, log.began) == (True, [("anna", 3)])


async def test_a_restore_that_was_confirmed_can_still_be_told_to_the_log():
    done = await confirmed(Fresh(confirmed=True), Log())
    assert (done.ok, done.code, str(KEY) in done.message) == (True, "EPOCH_BEGUN", True)


@pytest.mark.parametrize(
    ("code", "key", "said"),
    [
        ("NOTHING_TO_CONFIRM", KEY, "NOTHING_TO_CONFIRM"),
        ("STILL_LOOKING", KEY, "STILL_LOOKING"),
        ("", None, "NO_WITNESS_OBJECTS"),
        ("", KeyUnreadable("audit.key is gone"), "EPOCH_NOT_BEGUN"),
    ],
)
async def test_what_keeps_an_epoch_from_beginning_confirms_nothing(code, key, said):
    restoration = Fresh(code)
    done = await confirmed(restoration, Log(key))
    assert (done.ok, done.code, restoration.confirmed) == (False, said, False)
    assert ("audit.key is gone" in done.message) is (said == "EPOCH_NOT_BEGUN")


async def test_whoever_may_not_apply_a_policy_may_not_begin_an_epoch():
    log = Log()
    assert ((await confirmed(Fresh(), log, "bert")).code, log.began) == ("NOT_AUTHORISED", [])


OIL = "mill/oil"
ROWS = (
    SymptomSettings(component="*/oil", said="Grinding noise", job="relubricate"),
    SymptomSettings(component="*/oil", said="seized", failure=True),
)


@dataclass
class Slip:
    """What people report, kept on a slip of paper with room for two."""

    said: dict[str, bool] = field(default_factory=dict)

    async def report_by(self, _component: str, said: str, _person: Any, *, own_words: bool) -> bool:
        if len(self.said) == 2:
            raise ValueError("the slip is full")
        return said not in self.said and self.said.setdefault(said, own_words) is own_words

    async def take_back(self, _component: str, said: str, _person: Any, *, own_words: bool) -> bool:
        return self.said.pop(said, None) is own_words


@dataclass
class Workshop(Site):
    people: dict[str, Anna] = field(default_factory=lambda: {"anna": Anna(frozenset({Right.OPERATE})), "ben": Anna()})
    components: dict[str, None] = field(default_factory=lambda: {OIL: None})
    file: Any = field(default_factory=lambda: SimpleNamespace(symptoms=ROWS))


def workshop(slip: Slip) -> Operations:
    parts: list[Any] = [Workshop(), None, slip, Nobody(), None, None, None, None]
    return Operations(*parts)


async def test_a_symptom_is_entered_in_the_words_of_the_table_and_taken_back():
    slip = Slip()
    acts = workshop(slip)
    done = await acts.symptom(OIL, " grinding  NOISE", "anna", "web")
    assert (done.ok, done.code, slip.said) == (True, "SYMPTOM_ENTERED", {"Grinding noise": False})
    again = await acts.symptom(OIL, "grinding noise", "anna", "web")
    assert (again.ok, again.code) == (False, "SYMPTOM_KNOWN")
    over = await acts.symptom_over(OIL, "Grinding noise", "anna", "web")
    assert (over.code, slip.said) == ("SYMPTOM_TAKEN_BACK", {})
    assert (await acts.symptom_over(OIL, "Grinding noise", "anna", "web")).code == "SYMPTOM_UNKNOWN"


async def test_what_the_table_does_not_know_is_a_note_and_the_nearest_are_named():
    slip = Slip()
    done = await workshop(slip).symptom(OIL, "grinding nose", "anna", "web")
    assert (done.ok, done.code, slip.said) == (True, "SYMPTOM_NOTED", {"grinding nose": True})
    assert "chooses no job" in done.message
    assert done.message.endswith("Grinding noise.")
    assert (await workshop(slip).symptom(OIL, "zzz", "anna", "web")).message.endswith("it chooses no job.")


@pytest.mark.parametrize(
    ("component", "said", "person", "code"),
    [
        (OIL, "seized", "ben", "NOT_AUTHORISED"),
        (OIL, "seized", "nobody", "NOT_AUTHORISED"),
        ("mill/none", "seized", "anna", "COMPONENT_UNKNOWN"),
        (OIL, "x" * 101, "anna", "SYMPTOM_REFUSED"),
        (OIL, "", "anna", "SYMPTOM_REFUSED"),
        (OIL, "a third", "anna", "SYMPTOM_REFUSED"),
    ],
)
async def test_who_may_not_or_what_is_no_symptom_is_refused(component: str, said: str, person: str, code: str):
    slip = Slip({"warm": True, "loud": True})
    done = await workshop(slip).symptom(component, said, person, "web")
    assert (done.ok, done.code, len(slip.said)) == (False, code, 2)
