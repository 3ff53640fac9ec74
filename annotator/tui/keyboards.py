"""Keyboards of other scripts and AZERTY: the key of a US keyboard at the place of a character.

The commands and classes have the keys of a US keyboard. Where the terminal tells the place of a key
(kitty's alternate keys), that counts; else a table of layouts does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping

_PLACES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CYRILLIC": (
        ("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"),
        ("іїєґўјљњћђџѕ", "s]'\\ojqw'[xy"),  # Ukrainian, Belarusian, Serbian, Macedonian
    ),
    "GREEK": (("ςερτυθιοπασδφγηξκλζχψωβνμ", "wertyuiopasdfghjklzxcvbnm"),),
    "HEBREW": (("קראטוןםפשדגכעיחלךףזסבהנמצתץ", "ertyuiopasdfghjkl;zxcvbnm,."),),
}
"""Script -> rows of a layout, each with the keys of a US keyboard at the same places."""
_KEYS = {
    letter: key
    for rows in _PLACES.values()
    for letters, keys in rows
    for letter, key in zip(letters, keys, strict=True)
}
AZERTY_DIGITS = dict(zip("&é\"'(-è_çà", "1234567890", strict=True))
"""The row of digits of AZERTY without shift."""
_TELLING = "éèçà"
"""The characters of that row that no US keyboard has."""
_LATIN = ("LATIN", "FEMININE", "MASCULINE", "MODIFIER", "FULLWIDTH", "MICRO")
_EXACT = "exact"
"""The keymap that takes every character as it is."""


class Keyboard:
    """The keyboard of the annotator, as far as its keys have told it.

    `own` characters, the keys that the project has chosen, are never taken for others.
    """

    def __init__(self, keymap: str) -> None:
        self._follows, self._azerty = keymap != _EXACT, keymap == "azerty"
        self._script = ""
        self._learnt: dict[str, str] = {}

    def key_for(self, character: str, base: str, own: Collection[str]) -> str:
        """Return the key of a US keyboard that a character stands for; "" for itself.

        `base` is the key at its place, "" if the terminal does not tell it.
        """
        small = character.lower()
        if not self._follows or character in own or small in own or len(character) != 1:
            return ""
        if character.isascii() and character.isalpha():
            self._script = ""
        if script := script_of(character):
            key = (base or _KEYS.get(_without_accent(small), "")).lower()
            if key:
                self._note(script, small, key)
            return key.upper() if character != small else key
        if base:
            digit = base.isdigit() and not character.isdigit()
            self._azerty |= digit and character in AZERTY_DIGITS
            return base if digit else ""
        self._azerty |= character in _TELLING
        return AZERTY_DIGITS.get(character, "") if self._azerty else ""

    def is_perhaps_azerty(self, character: str, base: str, own: Collection[str]) -> bool:
        """Return whether a character would be a digit if the keyboard were known to be AZERTY."""
        known = not self._follows or self._azerty or base or character in own
        return character in AZERTY_DIGITS and not known

    def letters(self, own: Collection[str]) -> dict[str, str]:
        """Return the characters that work, by the key of a US keyboard; those alike left out."""
        digits = AZERTY_DIGITS if self._azerty else {}
        found = {key: sign for sign, key in digits.items() if sign not in own}
        rows = _PLACES.get(self._script, ())[:1]
        pairs = [(letter, key) for row in rows for letter, key in zip(*row, strict=True)]
        pairs += [(letter, key) for letter, key in self._learnt.items() if self._script]
        return found | {key: letter for letter, key in pairs if letter not in own}

    def _note(self, script: str, letter: str, key: str) -> None:
        if script != self._script:
            self._script, self._learnt = script, {}
        self._learnt[letter] = key


def script_of(character: str) -> str:
    """Return the script of a letter, such as CYRILLIC; "" for Latin letters and for no letter."""
    if not character.isalpha() or character.isascii():
        return ""
    script = unicodedata.name(character, "").partition(" ")[0]
    return "" if script in _LATIN else script


def _without_accent(letter: str) -> str:
    if letter in _KEYS:
        return letter
    return unicodedata.normalize("NFD", letter)[0]
