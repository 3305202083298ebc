"""What a cell says when it is taken for the name of a column of one table."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

from lakehouse.contracts.fields import ContractField
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.spellings import name_key, sure_fields, unsure_names, words_of

LONGEST: Final = 64
"""Characters of a cell that may be a name."""
_NO_LETTERS: Final = re.compile(r"[\W_]+")
_AROUND: Final = " \t\r\n'\"`"
_TYPES: Final = ("token", "float")
"""What a tool writes behind names (`user_id:token`)."""
_OTHERS: Final = (
    "brand colour color size weight width height length language currency description image images "
    "imageurl photo thumbnail stock quantity qty count total amount year month week day gender age "
    "email phone address street zip postcode city firstname lastname vendor manufacturer supplier "
    "model material status state comment comments note notes label value key author publisher pid "
    "cid iid mid vid farbe grosse marke beschreibung bild menge sprache hersteller couleur taille "
    "marque langue quantite kolor marka opis"
)
"""Words that columns are called by which no field is read from."""


class Sure(IntEnum):
    """How sure it is that a cell is the name of a column."""

    NOT = 0
    PERHAPS = 1
    SPELLED = 2
    """It is a spelling that many files have of some field."""
    NAMED = 3
    """The file, its mapping or the contract calls a column so."""


@dataclass(frozen=True, slots=True)
class Word:
    """`is_own`: the name of the column that the cell stands in; `is_file`: as the file or the
    mapping calls it. `is_identifier`: the name of what names a user, an item, a session or an
    event; `is_contract`: as the contract calls it.
    """

    key: str
    sure: Sure = Sure.NOT
    is_own: bool = False
    is_file: bool = False
    is_identifier: bool = False
    is_contract: bool = False


@dataclass(frozen=True)
class ColumnWords:
    """Names of a table: `file` are those of the file and its mapping, with their columns, and `fed`
    the fields that each column is read for.
    """

    file: dict[str, frozenset[str]]
    fed: dict[str, frozenset[str]]
    contract: frozenset[str]

    @classmethod
    def of(
        cls,
        names: Iterable[tuple[str, str]],
        fed: dict[str, frozenset[str]],
        fields: Sequence[ContractField],
    ) -> "ColumnWords":
        """Return the names of a table; `names` are pairs of a name and its column."""
        file: dict[str, set[str]] = {}
        for name, column in names:
            for key in {name_key(name.strip(_AROUND)), folded_name(name)} - {""}:
                file.setdefault(key, set()).add(column)
        return cls(
            {key: frozenset(columns) for key, columns in file.items()},
            fed,
            frozenset(field.name for field in fields),
        )

    def look_up(self, text: str, column: str) -> Word:
        """Return what the text of a cell says in its column."""
        text = text.strip(_AROUND)
        if len(text) > LONGEST:
            return Word(text)
        words = words_of(text)
        key = "".join(words) or folded_name(text)
        fed = self.fed[column]
        contract = contract_identifiers()
        known = sure_fields().get(key, frozenset())
        if key in self.file:
            columns = self.file[key]
            feeds = frozenset[str]().union(*(self.fed.get(one, ()) for one in columns))
            is_identifier = bool((feeds | known) & _identifiers())
            is_own = column in columns
            return Word(key, Sure.NAMED, is_own, is_own, is_identifier, key in contract)
        field = _canonical().get(key, "")
        if field in self.contract:
            is_identifier = field in _identifiers()
            return Word(
                key,
                Sure.NAMED,
                is_own=field in fed,
                is_identifier=is_identifier,
                is_contract=is_identifier,
            )
        if known:
            return Word(
                key,
                Sure.SPELLED,
                is_own=bool(known & fed),
                is_identifier=bool(known & _identifiers()),
                is_contract=key in contract,
            )
        if words and words[-1] == "id":
            return Word(key, Sure.SPELLED, is_identifier=True)
        return Word(key, Sure.PERHAPS if key in _perhaps() else Sure.NOT)


def folded_name(text: str) -> str:
    """Return the letters and digits of a text, in lower case and without accents."""
    text = text.lower()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return _NO_LETTERS.sub("", text)


@cache
def _identifiers() -> frozenset[str]:
    fields = (field for one in DataType for field in one.definition.fields)
    return frozenset(field.name for field in fields if field.is_identifier)


@cache
def _canonical() -> dict[str, str]:
    """The contract's fields by the keys of their names."""
    return {name_key(field.name): field.name for one in DataType for field in one.definition.fields}


@cache
def contract_identifiers() -> frozenset[str]:
    """Return the keys of the contract's names of identifiers."""
    return frozenset(map(name_key, _identifiers()))


@cache
def common_names() -> frozenset[str]:
    """Return names that columns of any table have, as `folded_name` has them."""
    own = {f"{name}{kind}" for name in _canonical() for kind in _TYPES}
    return frozenset({*sure_fields(), *_perhaps(), *_canonical(), *own})


@cache
def _perhaps() -> frozenset[str]:
    return unsure_names().union(_OTHERS.split())
