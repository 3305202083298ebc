"""The kinds of rows and of interactions, apart so that a command line loads no validator."""

from enum import StrEnum
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final

from lakehouse.contracts import data_types
from lakehouse.contracts.fields import DataTypeDefinition

_DEFINITIONS: Final[dict[str, DataTypeDefinition]] = {
    module.name: import_module(f"{data_types.__name__}.{module.name}").DEFINITION
    for module in iter_modules(data_types.__path__)
}


class DataType(StrEnum):
    """The kinds of rows a tenant may send: the modules of `data_types`."""

    if TYPE_CHECKING:  # those that models are written for
        INTERACTIONS = "interactions"
        ITEMS = "items"
        CLICKSTREAM = "clickstream"
        USERS = "users"
    else:
        vars().update(
            {
                name.upper(): name
                for name in sorted(_DEFINITIONS, key=lambda n: _DEFINITIONS[n].rank)
            }
        )

    @property
    def definition(self) -> DataTypeDefinition:
        """What there is to know of the type."""
        return _DEFINITIONS[self.value]


class FileFormat(StrEnum):
    """What a file of rows is written in."""

    CSV = "csv"
    JSON = "json"
    """One array of objects, or one object per line."""
    XLSX = "xlsx"
    """A sheet of an Excel workbook."""
    PARQUET = "parquet"
    AVRO = "avro"
    """An Avro object container file."""
    AUTO = "auto"
    """What the content shows."""


class OnError(StrEnum):
    """What a wrong row does to the batch it came in."""

    REJECT = "reject"
    """Nothing of the batch is stored."""
    QUARANTINE = "quarantine"
    """The good rows are stored; the wrong ones are kept aside with every reason."""


class InteractionType(StrEnum):
    """The contract's interaction types, weakest wish first."""

    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    PURCHASE = "purchase"
    DISLIKE = "dislike"
