"""The service does what its OpenAPI description says: schemathesis, all checks.

The suite runs a small part. Everything: `ETA_TEST_API_EXAMPLES=30
ETA_TEST_API_PHASES=examples,coverage,fuzzing,stateful`, minutes.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from lakehouse.control.database import SCOPES
from tests.conftest import PROJECT_DIR
from tests.support.service import RunningService

EXAMPLES = os.environ.get("ETA_TEST_API_EXAMPLES", "3")
PHASES = os.environ.get("ETA_TEST_API_PHASES", "examples,fuzzing")
SEED = os.environ.get("ETA_TEST_API_SEED", "1")
CONFIG = PROJECT_DIR / "tests" / "data" / "schemathesis.toml"


def test_all_checks_of_schemathesis_pass(service: RunningService, tmp_path: Path) -> None:
    service.add_tenant("described")
    key = service.add_key("described", *SCOPES)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{service.base_url}/openapi.json", "-H", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--phases", PHASES, "--max-examples", EXAMPLES),
        *("--continue-on-failure", "--no-color", "--seed", SEED),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks"}
    environment |= {"PYTHONPATH": str(PROJECT_DIR), "ETA_OWN_KEY": key.split("_")[1]}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    (generated,) = re.findall(r"(\d+) generated", done.stdout)
    assert int(generated) > 40


def test_the_description_has_examples_and_no_internal_answers(service: RunningService) -> None:
    found = httpx.get(f"{service.base_url}/openapi.json").json()
    for path in ("/v1/events", "/v1/items", "/v1/clickstream"):
        content = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            answer = httpx.post(
                service.base_url + path,
                json=example["value"],
                headers={"X-API-Key": service.keys["acme"]},
            )
            assert answer.status_code == 200, answer.text
