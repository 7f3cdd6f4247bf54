"""Engineering units from OPC-UA to how people write them in a config.

A server names a unit by the code of UN/ECE Recommendation 20 packed into a number (OPC 10000-8, 5.6.3) and by a text of
its own. The code wins where we know it, for it means one thing; otherwise the text, if a measure can be written with
it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.samples import Measure

UNKNOWN: Final = "1"
"""What a variable without a unit has in a config."""
MOMENT: Final = "s"
"""What a moment is read in: seconds since 1970 UTC."""
LENGTH_MAX: Final = 32

CODES: Final[Mapping[str, str]] = {
    "SEC": "s",
    "C26": "ms",
    "MIN": "min",
    "HUR": "h",
    "DAY": "d",
    "WEE": "week",
    "ANN": "year",
    "MTR": "m",
    "MMT": "mm",
    "CMT": "cm",
    "KMT": "km",
    "4H": "µm",
    "MTK": "m²",
    "MMK": "mm²",
    "MTQ": "m³",
    "MMQ": "mm³",
    "LTR": "l",
    "MLT": "ml",
    "KGM": "kg",
    "GRM": "g",
    "TNE": "t",
    "NEW": "N",
    "B47": "kN",
    "NU": "N·m",
    "PAL": "Pa",
    "KPA": "kPa",
    "MPA": "MPa",
    "BAR": "bar",
    "MBR": "mbar",
    "CEL": "°C",
    "KEL": "K",
    "FAH": "°F",
    "AMP": "A",
    "4K": "mA",
    "VLT": "V",
    "KVT": "kV",
    "WTT": "W",
    "KWT": "kW",
    "KWH": "kWh",
    "JOU": "J",
    "KJO": "kJ",
    "HTZ": "Hz",
    "KHZ": "kHz",
    "RPM": "1/min",
    "C94": "1/min",
    "MTS": "m/s",
    "C16": "mm/s",
    "2X": "m/min",
    "MSK": "m/s²",
    "2M": "cm/s",
    "MQH": "m³/h",
    "L2": "l/min",
    "P1": "%",
    "DD": "°",
    "OHM": "Ω",
    "2N": "dB",
    "D61": "arcmin",
    "C62": "1",
    "H87": "pieces",
    "EA": "pieces",
    "B7": "cycles",
}


def unit_of(information: Any) -> str:
    """Return the unit that an EUInformation says; `1` when it says none that could be written."""
    number = getattr(information, "UnitId", None)
    code = _code(number) if isinstance(number, int) else ""
    if code in CODES:
        return CODES[code]
    shown = getattr(getattr(information, "DisplayName", None), "Text", None)
    text = str(shown or "").strip()
    return text if is_writable(text) else UNKNOWN


def _code(number: int) -> str:
    """Unpack up to three characters of ASCII."""
    if not 0 < number < 1 << 24:
        return ""
    packed = number.to_bytes(3, "big").lstrip(b"\0")
    return packed.decode("ascii") if packed.isascii() and packed.isalnum() else ""


def is_writable(text: str) -> bool:
    """Tell whether a config can give a number this unit, as `20000 h` does."""
    if not 0 < len(text) <= LENGTH_MAX:
        return False
    try:
        return Measure.parse(f"1 {text}").unit == text
    except ValueError:
        return False
