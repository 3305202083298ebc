"""What schemathesis cannot know.

Every Idempotency-Key is a new one, its own key must live, and who was erased sends no more events:
those would be suppressed unread, where a wrong one has to be refused.
"""

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
    if case.path.endswith("/privacy/erasures") and isinstance(case.body, dict):
        subjects = case.body.get("subjects")
        if isinstance(subjects, list):
            case.body["subjects"] = [_nobody(subject) for subject in subjects]


def _nobody(subject: Any) -> Any:
    """Return an identifier of nobody else, as right or wrong as it was."""
    if isinstance(subject, str) and subject.strip() and len(subject) <= ROOM:
        return subject + uuid4().hex
    return subject
