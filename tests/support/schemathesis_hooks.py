"""What schemathesis cannot know: every Idempotency-Key is a new one, and its own key must live."""

import os
from typing import Any
from uuid import uuid4

import schemathesis

ROOM = 220


@schemathesis.hook
def before_call(_context: Any, case: Any, **_options: Any) -> None:
    """Change a generated request."""
    key = (case.headers or {}).get("Idempotency-Key")
    if key and len(key) <= 255 and key.isascii() and key.isprintable():
        case.headers["Idempotency-Key"] = key[:ROOM] + uuid4().hex
    if (case.path_parameters or {}).get("key_id") == os.environ["ETA_OWN_KEY"]:
        case.path_parameters["key_id"] = uuid4().hex
