"""What steps are given, read strictly: what is wrong now is wrong at the next attempt, too."""

import re
from decimal import Decimal
from typing import Any

from stepmark import Fail

#: Largest mantissa and most decimal places of a decimal: the same in all languages.
MANTISSA_MAX = 2**96 - 1
PLACES_MAX = 28
#: Largest integer that stands for a count or an id.
COUNT_MAX = 2**64 - 1

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")


def field(document: Any, name: str, kind: type) -> Any:
    """The field of this name and type."""
    if not isinstance(document, dict) or name not in document:
        raise Fail(f"missing field `{name}`")
    value = document[name]
    if type(value) is not kind:
        raise Fail(f"{name} is {value!r}: it must be of the type {kind.__name__}")
    return value


def count(document: Any, name: str) -> int:
    """A number from 0 to 2^64 - 1."""
    value: int = field(document, name, int)
    if not 0 <= value <= COUNT_MAX:
        raise Fail(f"{name} is {value}: it must be between 0 and {COUNT_MAX}")
    return value


def integer(text: str) -> int:
    """An integer of any size. ValueError."""
    if not _INTEGER.fullmatch(text):
        raise ValueError("invalid digit found in string")
    return int(text)


def decimal(text: str, exponents: bool = False) -> Decimal:
    """A decimal, exactly; also as 1e3, where exponents are let in. ValueError."""
    mantissa, exponent = text, 0
    if exponents and "e" in text.lower():
        mantissa, _, power = text.lower().partition("e")
        exponent = integer(power)
    if not _DECIMAL.fullmatch(mantissa):
        raise ValueError("Invalid decimal: it is no number")
    sign, digits, places = Decimal(mantissa).as_tuple()
    assert isinstance(places, int)  # it is none of infinity's
    exponent += places
    if exponent < -PLACES_MAX or exponent > PLACES_MAX:
        raise ValueError(f"Invalid decimal: more than {PLACES_MAX} places")
    value = Decimal((sign, digits + (0,) * max(exponent, 0), min(exponent, 0)))
    return representable(value)


def representable(value: Decimal) -> Decimal:
    """The value, unless it has too many digits. ValueError."""
    if int("".join(map(str, value.as_tuple().digits))) > MANTISSA_MAX:
        raise ValueError("Invalid decimal: more than 28 digits")
    return value
