"""How many examples a property is tried with: a share of them for each change, all of them nightly.

Examples are drawn by chance, so what a change's few examples miss, those of the next changes and
of the night draw.
"""

import os
from typing import Final

ALL_EXAMPLES: Final = "ETA_TEST_ALL_EXAMPLES"
_SHARE: Final = 3


def examples(count: int) -> int:
    """Return `count` with ETA_TEST_ALL_EXAMPLES set, a third of it without."""
    return count if os.environ.get(ALL_EXAMPLES) else count // _SHARE
