"""What begins with a letter: plain words, acronyms, camelCase, hyphens, Roman numerals, letters that stand alone."""

from __future__ import annotations

import re

from edge_tts.frontend.english.codes import letters, spell
from edge_tts.frontend.english.numbers import cardinal, ordinal
from edge_tts.frontend.english.rules import Context, Rule
from edge_tts.frontend.word_lists import word_set

_BEFORE_LETTER = word_set(
    """
    gate plan vitamin section terminal platform group grade option class type team block hall building zone level
    exhibit appendix size model point line button hepatitis room row seat door bay dock lane channel port track wing
    unit letter key category figure table sector station stand aisle note
    """
)
"""After these a capital A is the letter's name."""
_SPELLED = word_set(
    """
    US IT LED ID TV PC AC DC PM AM AI API URL ETA ATM UPS CAD SOS VIP PIR IR UV EV HR QR CD DVD PDF MIT IDE SSD
    HDD DIY FAQ CEO CTO EU UK UN USA LA NY IP OS IMU ESC AGV AMR PLC OTA BLE NFC ADC DAC SPI GPS CPU GPU TTS LCD
    OLED UFO ICU ER MRI EKG HVAC RFID ARM SMS MMS GUI CLI SDK CNC DHL FBI CIA NBA BBC CNN
    """
)
"""Spelled although a dictionary word or name is written the same."""
_SAID = word_set(
    """
    ROS RAM ROM SIM PIN LAN WAN CAN MAC NASA NATO LIDAR RADAR ASAP SLAM JSON YAML TOML ONNX GIF JPEG OPEC COVID
    UNICEF UNESCO WIFI NOT AND ALL YOU ARE OFF ON OUT NOW YES NO GO DO UP IN IS TO OF OR WE BE BY IF MY ME AT AS
    SO HE HI OK THE FOR BUT HAS HOT NEW TOP LOW RED ONE TWO SIX TEN END WET BIG OLD DRY RUN SAY ANY WHY WHO HOW
    HER HIS SHE OUR WAS ASK BAD BAR BED BOX BOY BUS BUY CAR CUT DAY DID DOG EAT EYE FAR FEW FIX FUN GET GOT HAD
    HIM ITS JOB KEY LET MAN MAP MAY MEN NET OWN PAY PUT SEE SET SIT SUN TAX TOO TRY USE WAR WAY WIN YET GAS AIR
    ICE OIL LIE ADD AGO ZIP BAN BIN LAB LIT WAIT STOP EXIT HELP OPEN PUSH PULL
    """
)
"""In capitals still a word."""

_ORDINAL_NAMES = word_set(
    """
    henry louis elizabeth george charles edward james william richard john paul pius benedict napoleon catherine
    philip peter alexander frederick leo gregory francis innocent clement nicholas ivan ramses ferdinand leopold
    christian gustav
    """
)
_NUMBERED = word_set(
    """
    chapter part section war act scene volume phase class level mark appendix title book stage article type grade
    bowl episode figure table step unit round division group category factor generation gen pentium apollo ares
    saturn rocky
    """
)
_ROMAN = re.compile(r"(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3})(?![\w'-])")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10}

_WORD = re.compile(r"(?P<word>[A-Za-z]+(?:'[A-Za-z]+)*'?)")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PLURAL_ACRONYM = re.compile(r"(?P<letters>[A-Z]{2,6})'?s'?(?![\w'])")
_FIXED = {"and/or": "and or", "wi-fi": "wifi", "e-mail": "email", "c#": "C sharp", "he/she": "he or she"}
_FIXED_PATTERN = re.compile(rf"(?:{'|'.join(_FIXED)})(?!\w)", re.IGNORECASE)
_OPERATOR = re.compile(r" ?(?:[<>=+*/^]|[≤≥≠])")
_COMPASS = {"N": "north", "S": "south", "E": "east", "W": "west"}
_BY = re.compile(r" ?\d")
_AMPERSAND = re.compile(r"(?P<first>[A-Z]{1,3})&(?P<second>[A-Z]{1,3})(?!\w)")
_POSSESSIVE = re.compile(r"'[sS]$")


def roman(text: str) -> int:
    """The value of a Roman numeral up to 39."""
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _roman(match: re.Match[str], context: Context) -> list[str] | None:
    last = context.last
    if not match[0] or context.shouting or not last.islower():
        return None
    before = match.string[: match.start()].rstrip(" .").rpartition(" ")[2]
    if last in _ORDINAL_NAMES and before[:1].isupper():
        if match[0] != "I" or not match.string[match.end() :].lstrip()[:1].isalpha():
            return ["the", *ordinal(roman(match[0]))]
        return None
    if last in _NUMBERED or (len(match[0]) > 1 and match[0] not in ("XX", "XXX", "XI") and before[:1].isupper()):
        return cardinal(str(roman(match[0])))
    return None


def _plural_acronym(match: re.Match[str], context: Context) -> list[str] | None:
    if context.shouting or not is_spelled(match["letters"], context):
        return None
    return [match["letters"] + "'s"]


def is_spelled(capitals: str, context: Context) -> bool:
    """Whether a word in capitals is read letter by letter."""
    if capitals in _SPELLED:
        return not (context.shouting and capitals in ("IT", "US", "AM", "AC", "ARM", "CAD", "UPS", "LA", "ER"))
    if capitals in _SAID:
        return False
    if context.is_word(capitals.lower()):
        return len(capitals) <= (2 if context.shouting else 3)
    return len(capitals) <= 4 or not any(vowel in capitals for vowel in "AEIOUY")


def _word(match: re.Match[str], context: Context) -> list[str]:
    text = match["word"].rstrip("'")
    if len(text) == 1:
        return _single(text, match, context)
    if text.islower() or text.istitle():
        return [text.lower()]
    possessive = "'s" if _POSSESSIVE.search(text) else ""
    stem = text[: len(text) - len(possessive)]
    if stem.isupper() and stem.isalpha():
        if is_spelled(stem, context):
            spoken = [stem] if len(stem) <= 6 else spell(stem)
            return [*spoken[:-1], spoken[-1] + possessive]
        return [stem.lower() + possessive]
    if context.is_word(stem.lower()) or "'" in stem:
        return [stem.lower() + possessive]
    words: list[str] = []
    for part in _CAMEL.findall(stem):
        if len(part) > 1 and part.isupper():
            words += [part] if is_spelled(part, context) else [part.lower()]
        else:
            words += [part.upper()] if len(part) == 1 else letters(part, context)
    return [*words[:-1], words[-1] + possessive]


def _single(letter: str, match: re.Match[str], context: Context) -> list[str]:
    if letter == "a" and _OPERATOR.match(match.string, match.end()):
        return ["A"]
    if letter in "aiI":
        return [letter.lower()]
    if letter == "x" and context.spoken and _BY.match(match.string, match.end()):
        return ["by"]
    if letter in _COMPASS and context.last == "degrees":
        return [_COMPASS[letter]]
    if letter == "A":
        alone = bool(context.spoken) and context.last not in ",;:" and not context.shouting
        letter_name = alone or context.last in _BEFORE_LETTER
        follows = match.string[match.end() : match.end() + 2]
        return ["A"] if letter_name or not follows[1:].isalnum() else ["a"]
    return [letter.upper()]


def _fixed(match: re.Match[str], context: Context) -> list[str]:
    return _FIXED[match[0].lower()].split()


def _ampersand(match: re.Match[str], context: Context) -> list[str]:
    return [match["first"], "and", match["second"]]


RULES: tuple[Rule, ...] = (
    (_AMPERSAND, _ampersand),
    (_FIXED_PATTERN, _fixed),
    (_ROMAN, _roman),
    (_PLURAL_ACRONYM, _plural_acronym),
    (_WORD, _word),
)
