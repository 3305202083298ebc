"""`python -m benchmarks.fuzz --seconds 600`: mutated CSV, JSON, events and webhooks; no crash.

The corpus stands in `tests/data/fuzz/<parser>/`. An input that crashes a parser is written there
(`crash-…`), so that the suite tries it for ever. Inputs by which a parser runs lines of the project
that no entry reached before are kept with `--keep`. Exit code 1 after a crash.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.fuzz.run import CORPUS, fuzz


def main() -> int:
    """Run, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--keep", action="store_true", help="keep inputs that reach new lines")
    options = parser.parse_args()
    found = fuzz(options.corpus, options.seconds, options.seed, keeps=options.keep)
    for name, count in found.tried.items():
        print(f"{name}: {count:,} inputs, {found.entries[name]} entries in the corpus")
    print(f"{sum(found.tried.values()):,} inputs, {len(found.crashes)} crashes")
    for crash in found.crashes:
        print(f"  {crash.target}: {crash.error} ({crash.path})")
    return 1 if found.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
