"""Units of measure: `5 kg`, `20 °C`, `3 m/s²`, and quantities with a percent sign."""

from __future__ import annotations

import re

from edge_tts.frontend.english.numbers import number
from edge_tts.frontend.english.rules import NUMBER, PLACES, SIGN, Context, Rule, sign
from edge_tts.frontend.word_lists import word_map, word_set

_PREFIXED = {
    "m": ("meter", "n µ m c d k"),
    "g": ("gram", "n µ m k"),
    "s": ("second", "n µ m"),
    "A": ("amp", "n µ m k"),
    "V": ("volt", "n µ m k M"),
    "W": ("watt", "n µ m k M G"),
    "Wh": ("watt hour", "m k M G"),
    "Ah": ("amp hour", "m k"),
    "VA": ("volt amp", "k M"),
    "Hz": ("hertz", "m k M G T"),
    "Pa": ("pascal", "h k M G"),
    "N": ("newton", "m k M"),
    "Nm": ("newton meter", "m k"),
    "J": ("joule", "m k M G"),
    "F": ("farad", "p n µ m"),
    "H": ("henry", "n µ m"),
    "Ω": ("ohm", "m k M G"),
    "l": ("liter", "µ m c d h"),
    "L": ("liter", "µ m c d h"),
    "B": ("byte", "k K M G T P"),
    "iB": ("bibyte", "K M G T"),
    "bit": ("bit", "k M G T"),
    "b": ("bit", "k M G"),
    "bps": ("bit per second", "k K M G"),
    "bar": ("bar", "m"),
    "cal": ("calorie", "k"),
    "eV": ("electron volt", "k M G"),
    "Sv": ("sievert", "µ m"),
    "Bq": ("becquerel", "k M"),
    "lm": ("lumen", ""),
    "lx": ("lux", ""),
    "mol": ("mole", "m"),
    "t": ("ton", "k M"),
    "sps": ("sample per second", "k M"),
}
_PREFIXES = word_map(
    """
    p pico; n nano; µ micro; u micro; m milli; c centi; d deci; h hecto
    """
)
_PREFIXES |= {"k": "kilo", "K": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta"}
_BINARY = {"K": "kibi", "M": "mebi", "G": "gibi", "T": "tebi"}
_OTHER = word_map(
    """
    °C degree celsius; °F degree fahrenheit; ° degree; K kelvin; dB decibel; dBm DBM; min minute; mins minute;
    h hour; hr hour; hrs hour; d day; wk week; yr year; yrs year; sec second; secs second; msec millisecond;
    mo month; ft foot; yd yard; mi mile; lb pound; lbs pound; oz ounce; gal gallon; qt quart; pt pint;
    sqm square meter; ha hectare; ac acre; mph mile per hour; kph kilometer per hour; kmph kilometer per hour;
    rpm RPM; RPM RPM; fps frame per second; FPS frame per second; psi PSI; PSI PSI; ppm part per million;
    ppb part per billion; atm atmosphere; mmHg millimeter of mercury; hp horsepower; kn knot; kt knot;
    nmi nautical mile; px pixel; dpi DPI; Mpx megapixel; MP megapixel; cc CC; tsp teaspoon; tbsp tablespoon;
    bpm beat per minute; cd candela; % percent; ‰ per mille; kcal kilocalorie; in inch; inch inch; rad radian;
    deg degree; kWp kilowatt peak
    """
) | {"sq ft": "square foot"}
_GLUED = frozenset(("in", "d", "mo", "B", "H", "F", "cd", "pt", "ac", "ha", "MP", "cc", "cal", "rad"))
"""Read as a unit only where no space stands before it: `5in`, but not `5 in stock`."""
_UNCHANGED = word_set(
    """
    hertz celsius fahrenheit lux horsepower percent mille mercury peak CC DPI PSI RPM DBM
    """
)
_IRREGULAR = {"foot": "feet", "inch": "inches", "henry": "henries", "kelvin": "kelvin", "century": "centuries"}
_FRACTIONS = ("half", "quarter", "quarters", "third", "thirds", "th", "ths")
_POWERS = {"2": "square", "3": "cubic"}


def _build() -> dict[str, str]:
    units = dict(_OTHER)
    for symbol, (name, prefixes) in _PREFIXED.items():
        if symbol != "iB":
            units.setdefault(symbol, name)
        for prefix in prefixes.split():
            table = _BINARY if symbol == "iB" else _PREFIXES
            full = table[prefix] + ("byte" if symbol == "iB" else name)
            for spelling in (prefix, "u") if prefix == "µ" else (prefix,):
                units.setdefault(spelling + symbol, full)
    units |= {"kΩ": "kilohm", "MΩ": "megohm"}
    for symbol in ("m", "mm", "cm", "km", "ft", "in", "mi", "yd"):
        for power, word in _POWERS.items():
            units[f"{symbol}^{power}"] = units[f"{symbol}{power}"] = f"{word} {units[symbol]}"
    return units | {"kmh": "kilometer per hour", "km/hr": "kilometer per hour"}


UNITS = _build()
"""Symbol → name in the singular."""
ALONE = {symbol: UNITS[symbol] for symbol in ("km", "kg", "cm", "kWh", "kHz", "MHz", "GHz", "mph", "kph", "mAh", "dB")}
"""Units that are read out without a number before them, in the plural."""
_SYMBOL = r"(?:sq ft|[A-Za-zµΩ°%‰]{1,6}(?:\^?[23])?)"
_END = r"(?![\w^]|['’]\w)"
_UNIT = rf"(?P<space>[ -]?)(?P<unit>{_SYMBOL})(?:/(?P<per>[A-Za-z]{{1,5}}(?:\^?[23])?))?{_END}"
_QUANTITY = re.compile(rf"(?P<sign>{SIGN})(?P<number>{NUMBER}){_UNIT}")
_QUANTITY_RANGE = re.compile(
    rf"(?P<sign>{SIGN})(?P<first>{NUMBER})(?: ?(?P<same>{_SYMBOL}))? ?(?:-|–|—|to|\.\.\.?) ?(?P<number>{NUMBER}){_UNIT}"
)
_UNIT_ALONE = re.compile(rf"(?P<unit>{_SYMBOL})(?:/(?P<per>[A-Za-z]{{1,5}}(?:\^?[23])?))?{_END}")
_PER = re.compile(rf"(?P<unit>km|m|l|L|kg|g|mg|kWh|MB|GB|ft|gal|mi)/(?P<per>(?:h|s|min|day|L|l|kg|d)(?:\^2)?){_END}")
_ALONE = re.compile(rf"(?:{'|'.join(ALONE)}){_END}")
_PER_WORDS = word_set("hour minute second day night week month year person unit")
_TEMPERATURE = word_set("temp temperature temperatures celsius fahrenheit oven water outside inside")
_PER_ONE = re.compile(r"/(?P<per>[A-Za-z]{1,6})(?!\w)")


def plural(name: str) -> str:
    """A unit's name in the plural: the first noun before `per` or `of` carries it."""
    head, link, tail = re.split(r"( per | of |$)", name, maxsplit=1)
    words = head.split()
    if words[-1] in _UNCHANGED and words[0] == "degree":
        words[0] = "degrees"
    else:
        words[-1] = _pluralize(words[-1])
    return " ".join(words) + link + tail


def _pluralize(word: str) -> str:
    return _IRREGULAR.get(word) or (word if word in _UNCHANGED or word.endswith("hertz") else word + "s")


def _name(unit: str, per: str | None, *, one: bool) -> list[str] | None:
    if unit not in UNITS:
        return None
    name = UNITS[unit] if one else plural(UNITS[unit])
    if per is None:
        return name.split()
    if per in UNITS or per in _PER_WORDS:
        return [*name.split(), "per", *UNITS.get(per, per).split()]
    if per[:-2] in UNITS and per.endswith("^2"):
        return [*name.split(), "per", *UNITS[per[:-2]].split(), "squared"]
    return None


def _quantity(match: re.Match[str], context: Context) -> list[str] | None:
    unit, value = match["unit"], match["number"]
    if not match["space"] and len(unit) == 1 and unit.isupper():
        if context.last in PLACES:
            return None
        if unit in "CF" and (match["sign"] or "." in value or not _TEMPERATURE.isdisjoint(context.spoken)):
            unit = "°" + unit
    if (unit == "K" and not match["space"]) or (match["space"] and unit in _GLUED and not match["per"]):
        return None
    ranged = "first" in match.re.groupindex
    if ranged and match["same"] not in (None, unit):
        return None
    if match["space"] == "-" and (len(unit) == 1 and unit.isalpha()):
        return None
    if unit == "m" and context.last in ("hour", "hours") and not match["per"]:
        return [*number(value), "minute" if value == "1" else "minutes"]
    one = value == "1" or match["space"] == "-" or (context.last in ("a", "an") and unit not in ("%", "°"))
    words = sign(match["sign"])
    if ranged:
        words = [*words, *number(match["first"]), "to"]
    name = _name(unit, match["per"], one=one)
    return name and [*words, *number(value), *name]


def _per(match: re.Match[str], context: Context) -> list[str] | None:
    return _name(match["unit"], match["per"], one=False)


def _alone(match: re.Match[str], context: Context) -> list[str]:
    return plural(ALONE[match[0]]).split()


def _after_number(match: re.Match[str], context: Context) -> list[str] | None:
    """A unit that stands after what another rule has read: `120/80 mmHg`, `10 x 20 cm`, `14:05 h`."""
    before = match.string[max(0, match.start() - 2) : match.start()]
    unit = match["unit"]
    if not before.rstrip(" ")[-1:].isdigit() or (before.endswith(" ") and unit in _GLUED):
        return None
    return _name(unit, match["per"], one=context.last.endswith(_FRACTIONS))


def _per_one(match: re.Match[str], context: Context) -> list[str] | None:
    before, name = match.string[match.start() - 1 : match.start()], match["per"]
    if name in _PER_WORDS or (name in UNITS and before.isdigit()):
        return ["per", *UNITS.get(name, name).split()]
    return None


QUANTITY_RULES: tuple[Rule, ...] = ((_QUANTITY_RANGE, _quantity), (_QUANTITY, _quantity))
SLASH_RULES: tuple[Rule, ...] = ((_PER_ONE, _per_one),)
"""For a slash after an amount: `$5/h`."""
UNIT_RULES: tuple[Rule, ...] = ((_UNIT_ALONE, _after_number), (_PER, _per), (_ALONE, _alone))
"""For units that stand alone: `in km/h`."""
SMALL_UNITS = frozenset(symbol for symbol in UNITS if symbol.islower() and symbol.isalpha() and len(symbol) > 1)
"""Those that look like words."""
