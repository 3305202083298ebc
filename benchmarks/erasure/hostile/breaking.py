"""Breaks one guard of the erasure after the other, and says whether the outside proof saw it."""

import sys
from dataclasses import replace
from typing import Any, Final

from benchmarks.erasure.hostile.broken import BREAKS
from benchmarks.erasure.hostile.trial import Options, Outcome, try_it

SMALL: Final = Options(count=60, with_kafka=False, with_replay=False)
PROGRAM: Final = "benchmarks.erasure.hostile.broken"


def break_one(name: str, options: Options = SMALL) -> dict[str, Any]:
    """Break a guard; return which checks failed, and whether the right one did."""
    outcome = try_it(replace(options, program=(PROGRAM, name)))
    return {
        "break": name,
        "guard": BREAKS[name].what,
        "caught": is_caught(name, outcome),
        "failed_checks": {check: found["places"] for check, found in outcome.wrong.items()},
    }


def break_all(options: Options = SMALL) -> dict[str, Any]:
    """Break every guard in turn, after one trial with none broken, which has to pass."""
    print("nothing is broken", file=sys.stderr)
    whole = try_it(options)
    found = []
    for name in BREAKS:
        print(f"{name} is broken", file=sys.stderr)
        found.append(break_one(name, options))
    return {
        "passed": not whole.wrong and all(one["caught"] for one in found),
        "unbroken": {"passed": not whole.wrong, "wrong": whole.wrong},
        "broken": found,
    }


def is_caught(name: str, outcome: Outcome) -> bool:
    """Whether the check that guards it failed, in the place where it had to."""
    one = BREAKS[name]
    places = outcome.wrong.get(one.check, {}).get("places", {})
    return any(one.place in place for place in places)
