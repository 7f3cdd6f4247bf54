"""What a site says, section by section, as one file.

The gateway's own sections are modelled here; those of connections, components, items, suppliers and timing in their
packages. What only an installed connector or supplier adapter can judge is left open (`Any`) and judged by its own
models in `gateway.config`. Every model is frozen and refuses unknown keys. Nothing here opens a file or a connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gateway.actions import Right
from gateway.learning.phases import Phase
from maintenance.alarms.settings import ComponentAlarms, SiteAlarms
from maintenance.estimates import EstimateSettings
from maintenance.settings import ComponentSettings, DeviationWear, JobSettings, UsageWear, shape_of
from maintenance.symptoms import SymptomSettings
from maintenance.windows import FeatureSettings
from marketplace.audit.note import KeyKind, NoteBroken, VerifierKey
from marketplace.authority.alarm_terms import AlarmCode, AlarmTerms
from marketplace.documents import Delivery
from marketplace.money import decimals_of
from marketplace.settings import Amount, BuyingSettings, Duration, ItemSettings, Settings, TimingSettings
from marketplace.timing import WATCHED_PATIENCE, TimingTerms
from marketplace.windows import Once, Weekly, window_said

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A permanent identifier; names are free, keys are not. No slash: `machine/component` is made of two of them."""
KindName = Annotated[str, StringConstraints(min_length=1, max_length=130)]
"""What components learn together by: their `peers`, the item that their job buys, or a component's own key."""
Text = Annotated[str, StringConstraints(max_length=300, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):  # which of them depends on what the name looks like
        raise ValueError(_("is no time zone of the IANA data base, such as Europe/Berlin")) from None
    return value


def _currency(value: str) -> str:
    decimals_of(value)
    return value


def _address(value: str) -> str:
    return value if value == "localhost" else str(ipaddress.ip_address(value))


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value))


def _web_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+/?", value):
        raise ValueError(_("write http:// or https://, a host and perhaps a port; no path and no password"))
    return value.rstrip("/")


def _without_empty(value: Any) -> Any:
    """A section of which every line is commented out is one that is not there."""
    return {key: inner for key, inner in value.items() if inner is not None} if isinstance(value, Mapping) else value


_SIZES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _size(value: Any) -> int:
    number, _space, unit = str(value).strip().partition(" ")
    if not re.fullmatch(r"[0-9]{1,6}", number) or unit.strip() not in _SIZES:
        raise ValueError(_("needs a whole number and a unit of space, such as '4 GiB' or '500 MiB'"))
    return int(number) * _SIZES[unit.strip()]


def _size_written(value: int) -> str:
    unit = next(name for name in reversed(_SIZES) if value % _SIZES[name] == 0)
    return f"{value // _SIZES[unit]} {unit}"


Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(_size_written, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["500 MiB", "4 GiB"]}),
]
"""Space on a disk in bytes, written with its unit: `500 MiB`, `4 GiB`."""

When = Annotated[
    Weekly | Once,
    PlainValidator(lambda value: value if isinstance(value, Weekly | Once) else window_said(str(value))),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["saturday 06:00-14:00", "2026-12-12 06:00 to 14:00"]}),
]
"""A window that returns every week, or comes once, in the site's time zone."""

SAMPLES_MIN = 64 * 2**20
"""Below it the ring would forget what was just written."""


def _room(value: int) -> int:
    if value < SAMPLES_MIN:
        raise ValueError(_("is too little to keep anything; at least 64 MiB"))
    return value


class SiteSettings(Settings):
    """Where the gateway stands; `gateway` stands in every order number, so it is two characters."""

    plant: Key
    gateway: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2}$")]
    name: Name
    time_zone: Annotated[str, AfterValidator(_zone)]
    currency: Annotated[str, AfterValidator(_currency)]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] = "en"


class OrganisationSettings(Settings):
    """Who buys, as it stands on every order."""

    name: Name
    vat_id: Text = ""
    ship_to: Name
    bill_to: Text = ""
    contact: Name
    cost_centre: Text = ""
    erp_reference: Text = ""

    def delivery(self) -> Delivery:
        """Return what an order says about us; the invoice goes where the goods go unless the site says otherwise."""
        return Delivery(
            self.name,
            self.vat_id,
            self.ship_to,
            self.bill_to or self.ship_to,
            self.contact,
            self.cost_centre,
            self.erp_reference,
        )


class PersonSettings(Settings):
    """A named person. `os_user` is who they are on this computer; a limit left out allows no approval."""

    name: Name
    os_user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$")] | None = None
    may: frozenset[Right] = frozenset()
    approval_limit: Amount | None = None


class BackupSettings(Settings):
    """Backups by the clock: into which directory (relative to the config), how often, and how many are kept."""

    directory: Path
    every: Duration = timedelta(days=1)
    keep: int = Field(default=14, ge=1, le=10_000)


class StorageSettings(Settings):
    """Where the databases are, relative to the config, how long and in how much room samples are kept, and backups.

    keep_lives: how long what lives looked like is kept, to learn from.
    samples_max: of the telemetry database; the oldest samples go first. 4 GiB are a month of 1,000 tags at 1 Hz, as
    such values usually are, and backups hold them too.
    """

    directory: Path = Path("data")
    keep_samples: Duration = timedelta(days=30)
    keep_lives: Duration = timedelta(days=3653)
    samples_max: Annotated[Size, AfterValidator(_room)] = Field(default="4 GiB", validate_default=True)
    backup: BackupSettings | None = None


class WebSettings(Settings):
    """Where the page is. Outside of this computer it needs TLS, or a named proxy that brings it."""

    bind: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    hosts: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:\[\]-]{1,253}$")], ...] = ()
    public_url: Annotated[str, AfterValidator(_web_url)] | None = None
    certificate: Path | None = None
    key: Path | None = None
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()

    @property
    def loopback(self) -> bool:
        """Whether only this computer reaches the page."""
        return self.bind == "localhost" or ipaddress.ip_address(self.bind).is_loopback

    @model_validator(mode="after")
    def _guarded(self) -> WebSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError(_("'certificate' and 'key' belong together"))
        if not (self.loopback or self.certificate or self.trusted_proxies):
            raise ValueError(_("a page that other computers reach needs 'certificate' and 'key', or 'trusted_proxies'"))
        return self


class NetworkSettings(Settings):
    """The way to suppliers."""

    proxy: Annotated[str, AfterValidator(_web_url)] | None = None
    certificate_authority: Path | None = None
    allow_private_targets: bool = False


def _alarm(value: str) -> str:
    if value not in ("default", *AlarmCode):
        raise ValueError(_("is no alarm; there are default, {codes}").format(codes=", ".join(sorted(AlarmCode))))
    return value


class AlarmSettings(SiteAlarms):
    """How long a person may take to acknowledge a money alarm, by its code, before it stops what it names.

    Beside it the condition alarms of the site, by kind: they stop nothing.
    """

    acknowledge_within: Mapping[Annotated[str, AfterValidator(_alarm)], Duration] = Field(default_factory=dict)

    def terms(self) -> AlarmTerms:
        """Return the same as alarms take it."""
        usual = AlarmTerms()
        by_code = {code: span for code, span in self.acknowledge_within.items() if code != "default"}
        return AlarmTerms(self.acknowledge_within.get("default", usual.default), by_code)


def _verifier_key(kind: KeyKind) -> Callable[[str], str]:
    def judge(value: str) -> str:
        try:
            key = VerifierKey.parse(value)
        except NoteBroken:
            raise ValueError(_("is no public key, written name+id+base64")) from None
        if key.kind is not kind:
            raise ValueError(_("is a key for something else: a witness's where a log's belongs, or the reverse"))
        return value

    return judge


LogKey = Annotated[str, StringConstraints(max_length=200), AfterValidator(_verifier_key(KeyKind.LOG))]
WitnessKey = Annotated[str, StringConstraints(max_length=200), AfterValidator(_verifier_key(KeyKind.WITNESS))]
WitnessName = Annotated[str, StringConstraints(pattern=r"^[^\s+]{1,100}$")]


class WitnessSettings(Settings):
    """A witness of this gateway's audit log, off this computer: its public key, and either its address or a folder."""

    key: WitnessKey
    url: Annotated[str, AfterValidator(_web_url)] | None = None
    folder: Path | None = None

    @model_validator(mode="after")
    def _one_way(self) -> WitnessSettings:
        if (self.url is None) == (self.folder is None):
            raise ValueError(_("a witness has either a 'url' or a 'folder'"))
        return self


class WitnessServiceSettings(Settings):
    """Being a witness for other gateways: the public keys of their logs, and where this one listens for them."""

    name: WitnessName
    logs: tuple[LogKey, ...] = Field(min_length=1)
    bind: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    port: int = Field(default=8081, ge=0, le=65535)


class AuditSettings(Settings):
    """The log of every act that touches money: where its private key is, and who witnesses it."""

    key: Path | None = None
    witnesses: tuple[WitnessSettings, ...] = Field(default=(), max_length=15)
    serve: WitnessServiceSettings | None = None

    @field_validator("witnesses")
    @classmethod
    def _different(cls, value: tuple[WitnessSettings, ...]) -> tuple[WitnessSettings, ...]:
        if len({each.key for each in value}) < len(value):
            raise ValueError(_("two witnesses have the same key"))
        return value


class IdentitySettings(Settings):
    """What stands on the nameplate of a machine or of the part in it."""

    manufacturer: Text = ""
    model: Text = ""
    product_code: Text = ""
    serial: Text = ""


class ComponentConfig(ComponentSettings):
    """A component as a file says it: how it wears, and what buying for it means; without `buying` it is watched."""

    buying: BuyingSettings | None = None
    identity: IdentitySettings | None = None
    alarms: ComponentAlarms | None = None

    @property
    def patience(self) -> float:
        """What waiting is worth here: a part that is watched goes on telling, a counter has told all."""
        return WATCHED_PATIENCE if isinstance(self.wear, DeviationWear) else 1.0

    @property
    def life_shape(self) -> float | None:
        """The Weibull shape of its lives where age alone tells of them; None where the part itself does."""
        wear = self.wear
        return shape_of(wear, self) if isinstance(wear, UsageWear) and not wear.due else None

    def terms(self, timing: TimingSettings, learned: float = 1.0) -> TimingTerms | None:
        """Return what timing weighs as the config says it, with the patience that its kind has learned; None: it is
        never bought for."""
        if self.buying is None:
            return None
        return timing.terms(self.buying, max(self.patience, learned), self.life_shape)


class MachineSettings(Settings):
    """A machine: its connection if it has one, its tags, what is computed from them, and what wears on it."""

    name: Name
    connection: Key | None = None
    identity: IdentitySettings | None = None
    browse: tuple[Glob, ...] = Field(default=(), max_length=20)
    """Under which paths of its server its tags were found: what 'toolcrib rescan' looks at again."""
    tags: Mapping[Key, Any] = Field(default_factory=dict)
    features: Mapping[Key, FeatureSettings] = Field(default_factory=dict)
    """Numbers computed from windows and spectra; each is a tag of the machine like those that are read."""
    estimates: Mapping[Key, EstimateSettings] = Field(default_factory=dict)
    """Wear that nobody measures, by what measured parts taught; each is a tag of the machine, too."""
    components: Mapping[Key, ComponentConfig] = Field(default_factory=dict)

    _empty = model_validator(mode="before")(_without_empty)


class WindowSettings(Settings):
    """A maintenance window; said as text alone it is for all machines."""

    when: When
    machines: tuple[Key, ...] = Field(default=(), min_length=1, max_length=1000)
    """For which it is; for all where none is named."""

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | WindowSettings) else {"when": window_said(str(value))}


class ConfigFile(Settings):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    site: SiteSettings
    organisation: OrganisationSettings
    people: Mapping[Key, PersonSettings] = Field(default_factory=dict)
    storage: StorageSettings = StorageSettings()
    web: WebSettings = WebSettings()
    network: NetworkSettings = NetworkSettings()
    audit: AuditSettings = AuditSettings()
    connections: Mapping[Key, Any] = Field(default_factory=dict)
    machines: Mapping[Key, MachineSettings] = Field(default_factory=dict)
    jobs: Mapping[Key, JobSettings] = Field(default_factory=dict)
    symptoms: tuple[SymptomSettings, ...] = Field(default=(), max_length=1000)
    """Which of the jobs a symptom calls for; the first row that fits, else the component's own job."""
    items: Mapping[Key, ItemSettings] = Field(default_factory=dict)
    suppliers: Mapping[Key, Any] = Field(default_factory=dict)
    timing: TimingSettings = TimingSettings()
    maintenance_windows: tuple[WindowSettings, ...] = Field(default=(), max_length=50)
    """When machines may be worked on; at any time those for which there is none."""
    learning: Mapping[KindName, Phase] = Field(default_factory=dict)
    """How far a kind may come by itself: `bound` keeps it to the rule that needs no history."""
    alarms: AlarmSettings = AlarmSettings()
    policy: Path = Path("policy.yaml")
    shadow: bool = False
    """Watch and decide as ever, keep what would be bought, and reach no supplier; ended by a restart without it."""

    _empty = model_validator(mode="before")(_without_empty)

    @field_validator("policy")
    @classmethod
    def _a_yaml_file(cls, value: Path) -> Path:
        if value.suffix not in (".yaml", ".yml"):
            raise ValueError(_("the policy is a file of its own, such as policy.yaml"))
        return value
