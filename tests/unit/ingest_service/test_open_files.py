"""A process may open what its connections and files need."""

import resource
import subprocess
import sys

RAISED = """
import resource
from ingest_service.settings import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 600))
allow_open_files(500)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
allow_open_files(5_000)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
allow_open_files(10)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_the_soft_limit_is_raised_as_far_as_it_may_be() -> None:
    found = subprocess.run([sys.executable, "-c", RAISED], capture_output=True, check=True)
    assert found.stdout.split() == [b"500", b"600", b"600"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] != 600
