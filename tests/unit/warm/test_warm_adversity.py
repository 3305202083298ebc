"""A warm command is the command also where things are odd: streams, signals, folders, bytes.

The copies run a line of Python in place of the command, and a script says `plain` in place of the
plain one, so that each test is about the way there.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.warm import client, server
from lakehouse.warm.place import DECIDED, Place, machine, stop_all
from tests.support.stream import wait_for

SERVER = """
import os, signal, sys, time
import lakehouse.warm.server as server
server._LOOK_SECONDS = 0.2
server._call = lambda program, arguments: exec(arguments[0], {"os": os, "sys": sys, "time": time})
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as where its first caller ignored it
sys.exit(server.main(()))
"""
CALLER = f"""#!{sys.executable}
import lakehouse.warm.client as client
client.ANSWER_SECONDS = 2.0
client.eta()
"""
WHY = "not this user's alone|Not a directory|symbolic links"
WARM = "print(os.getppid(), flush=True)"
"""Says which process the command is a copy of."""


class Warm:
    """A warm process, and a caller that has a plain command beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "ETA_HOME": str(folder / "home")}
        self.environment.pop("PYTHONPATH", None)
        self.caller = folder / "warm-eta"
        for name, text in (("warm-eta", CALLER), ("eta", "#!/bin/sh\necho plain\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.server = subprocess.Popen([sys.executable, "-c", SERVER], env=self.environment)
        self.place = Place.of(self.environment)
        wait_for(lambda: self.is_served, "the server")

    @property
    def is_served(self) -> bool:
        connection = self.place.connect()
        if connection is not None:
            connection.close()
        return connection is not None

    def begin(self, line: str | bytes, **more: Any) -> subprocess.Popen[str]:
        options = {"env": self.environment, "stdout": subprocess.PIPE, "text": True, **more}
        return subprocess.Popen([self.caller, line], **options)

    def run(self, line: str | bytes, **more: Any) -> tuple[int, str]:
        running = self.begin(line, **more)
        out, _ = running.communicate(timeout=30)
        return running.returncode, out

    def goes_on(self) -> bool:
        return self.run(WARM) == (0, f"{self.server.pid}\n")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """One for all tests that leave it as it was."""
    found = Warm(tmp_path_factory.mktemp("warm"))
    yield found
    found.server.kill()
    found.server.wait()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Warm]:
    """One for a test that ends it."""
    found = Warm(tmp_path)
    yield found
    found.server.send_signal(signal.SIGCONT)
    found.server.kill()
    found.server.wait()


@pytest.mark.parametrize("line", ["raise RuntimeError", "sys.exit('told')", "print('x' * 10**6)"])
def test_streams_that_take_nothing_cost_the_command_alone(warm: Warm, line: str) -> None:
    """An error while one was printed let the copy go on as the server, and close its socket."""
    with Path("/dev/full").open("w") as full:
        code, _ = warm.run(line, stdout=full, stderr=full)
    assert code != 0
    reading, writing = os.pipe()
    os.close(reading)
    assert warm.run(line, stdout=writing, stderr=writing)[0] != 0
    os.close(writing)
    assert warm.goes_on()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_with_a_closed_stream_the_command_runs_plainly(warm: Warm, number: int) -> None:
    """The connection had its number, and the command wrote into it."""
    closing = "<&-" if number == 0 else f"{number}>&-"
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{warm.caller}" "{WARM}" {closing}'],
        env=warm.environment,
        capture_output=True,
        text=True,
    )
    if number == 1:
        assert str(warm.server.pid) not in done.stdout
    else:
        assert done.stdout == "plain\n"
    assert warm.goes_on()


def test_what_is_the_caller_s_reaches_the_command(warm: Warm, tmp_path: Path) -> None:
    done = subprocess.run(
        [warm.caller, "print(sys.stdin.read(), os.getcwd(), oct(os.umask(0)), time.tzname[0])"],
        env={**warm.environment, "TZ": "XYZ-5"},
        cwd=tmp_path,
        umask=0o31,
        input="typed",
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"typed {tmp_path} 0o31 XYZ\n"
    _, numbers = warm.run("print(*sorted(map(int, os.listdir('/proc/self/fd'))))")
    assert numbers == "0 1 2 3\n", "3 is the listing; nothing of the server is open"


def test_a_folder_that_is_deleted_is_the_command_s_all_the_same(warm: Warm, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'cd "{gone}" && rmdir "{gone}" && "{warm.caller}" "{WARM}"'
    said = subprocess.check_output(["/bin/sh", "-c", line], env=warm.environment, text=True)
    assert said == f"{warm.server.pid}\n"


def test_an_ignored_signal_is_ignored_and_no_other(warm: Warm) -> None:
    line = "print(*[int(signal.getsignal(n) is signal.SIG_IGN) for n in (2, 15, 1)])"
    line = f"import signal; {line}"
    hung_up = int(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)  # of `nohup pytest`, say
    assert warm.run(line)[1] == f"0 0 {hung_up}\n", "the server's first caller ignored SIGINT"
    done = subprocess.check_output(
        ["/bin/sh", "-c", f'trap "" HUP INT; "{warm.caller}" "{line}"'],
        env=warm.environment,
        text=True,
    )
    assert done == "1 0 1\n"


def test_an_interrupt_that_the_command_does_not_catch_is_its_end(warm: Warm) -> None:
    running = warm.begin("print('on', flush=True); time.sleep(60)", stderr=subprocess.DEVNULL)
    assert running.stdout is not None
    assert running.stdout.readline() == "on\n"
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130
    assert warm.goes_on()


def test_copies_do_not_draw_the_same_numbers(tmp_path: Path) -> None:
    import numpy as np

    np.random.seed(1)
    drawn = []
    for _ in range(2):
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            handed = [os.open("/dev/null", os.O_RDWR) for _ in range(3)]
            handed.append(os.open(tmp_path, os.O_PATH))
            server._take_over(server._Asked("eta", [], {}, 0o77, []), handed)
            os.write(writing, np.random.bytes(8))
            os._exit(0)
        os.waitpid(pid, 0)
        drawn.append(os.read(reading, 8))
        os.close(reading)
        os.close(writing)
    assert len(set(drawn)) == 2


def test_a_server_that_hangs_is_not_waited_for_and_runs_nothing_later(
    own: Warm, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    own.server.send_signal(signal.SIGSTOP)
    assert own.run(f"open({str(ran)!r}, 'w')") == (0, "plain\n")
    own.server.send_signal(signal.SIGCONT)
    assert own.goes_on()
    assert not ran.exists(), "it would have run twice"


def test_a_server_that_nobody_finds_any_more_ends(own: Warm) -> None:
    running = own.begin("print('on', flush=True); time.sleep(1); print('done')")
    assert running.stdout is not None
    assert running.stdout.readline() == "on\n"
    own.place.close()
    wait_for(lambda: not own.place.is_held(), "that another may serve")
    assert running.communicate(timeout=20)[0] == "done\n", "what it runs ends as it would have"
    assert own.server.wait(20) == 0


def test_a_server_is_nobodys_child(tmp_path: Path) -> None:
    """Who ends a task ends its children: the first task's end was that of all others."""
    place = Place(tmp_path / "warm" / "here")
    start = "import sys; from lakehouse.warm.server import main; sys.exit(main((), sys.argv[1]))"
    subprocess.run([sys.executable, "-c", start, place.folder], check=True, timeout=30)
    assert place.is_held()
    wait_for(lambda: (place.folder / "lock").read_text(), "its number")
    pid = int((place.folder / "lock").read_text().split()[0])
    assert psutil.Process(pid).ppid() != os.getpid()
    stop_all(tmp_path)
    wait_for(lambda: not psutil.pid_exists(pid), "its end")


def test_folders_and_files_of_others_are_not_used(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("x")
    precious.chmod(0o700)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    linked = Place(tmp_path / "home" / "warm" / "linked")
    linked.folder.parent.mkdir(parents=True)
    linked.folder.symlink_to(elsewhere)
    open_to_all = Place(tmp_path / "home" / "warm" / "open")
    open_to_all.folder.mkdir()
    open_to_all.folder.chmod(0o770)
    for place in (linked, open_to_all):
        with pytest.raises(OSError, match=WHY):
            place.make()
        with pytest.raises(OSError, match=WHY):
            place.lock()
        assert place.connect() is None
    assert not list(elsewhere.iterdir())
    place = Place(tmp_path / "home" / "warm" / "mine")
    place.make()
    (place.folder / "lock").symlink_to(precious)
    with pytest.raises(OSError, match=WHY):
        place.lock()
    (place.folder / "log").symlink_to(precious)
    place.note("cannot")
    assert precious.read_text() == "x"


def test_a_server_of_another_machine_is_left_alone(tmp_path: Path) -> None:
    """A home that several machines have: its process id here is somebody else's."""
    place = Place(tmp_path / "warm" / "theirs")
    place.make()
    bystander = subprocess.Popen(["/bin/sleep", "60"])
    lock = place.lock()
    assert lock is not None
    os.pwrite(lock, f"{bystander.pid} another machine".encode(), 0)
    stop_all(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        bystander.wait(0.5)
    os.pwrite(lock, f"{bystander.pid} {machine()}".encode(), 0)
    stop_all(tmp_path)
    assert bystander.wait(10) == -signal.SIGTERM


def test_what_earlier_versions_left_is_deleted_a_day_later(tmp_path: Path) -> None:
    mine, old, young, held = (
        Place(tmp_path / "warm" / name) for name in ("mine", "old", "young", "held")
    )
    locks = {}
    for place in (mine, old, young, held):
        place.make()
        lock = place.lock()
        assert lock is not None
        locks[place] = lock
        if place in (old, young):
            fcntl.flock(lock, fcntl.LOCK_UN)
        if place is not young:
            os.utime(place.folder, (0, 0))
    mine.prune()
    assert sorted(one.name for one in mine.folder.parent.iterdir()) == ["held", "mine", "young"]


def test_another_caller_has_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = {"ETA_HOME": str(tmp_path)}
    before = Place.of(home)
    for name in ("LC_ALL", "PYTHONUTF8", "LD_PRELOAD", "PANDAS_COPY_ON_WRITE"):
        assert Place.of({**home, name: "other"}) != before
    assert Place.of({**home, "DBT_TARGET": "other"}) == before
    relative = {**home, "PYTHONPATH": "lib"}
    here = Place.of(relative)
    monkeypatch.chdir(tmp_path)
    assert Place.of(relative) != here, "another folder's modules"
    monkeypatch.setattr(os, "getpriority", lambda *_: 19)
    assert Place.of(home) != before
    monkeypatch.undo()
    monkeypatch.setattr("lakehouse.warm.place.machine", lambda: "another")
    assert Place.of(home) != before


BYTES = st.binary(min_size=1, max_size=40).filter(lambda found: b"\0" not in found)
NAMES = BYTES.filter(lambda found: b"=" not in found)


@given(st.lists(BYTES, max_size=4), st.dictionaries(NAMES, BYTES, max_size=4))
def test_arguments_and_environment_arrive_byte_by_byte(
    arguments: list[bytes], environment: dict[bytes, bytes]
) -> None:
    before = dict(os.environb)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(client.READY)
        os.environb.clear()
        os.environb.update(environment)
        try:
            assert client._ask(ours, "eta", [os.fsdecode(one) for one in arguments])
        finally:
            os.environb.clear()
            os.environb.update(before)
        asked = server._asked(theirs)
        for one in server._handed(theirs):
            os.close(one)
    assert [os.fsencode(one) for one in asked.arguments] == arguments
    assert asked.environment == environment


RECORDER = """
import importlib, os, sys

class Recorder(dict):
    def __getitem__(self, name):
        frame = sys._getframe(1)
        while "os" == frame.f_globals.get("__name__") or "collections" in frame.f_code.co_filename:
            if frame.f_code.co_name == "__iter__":
                return dict.__getitem__(self, name)
            frame = frame.f_back
        read.add(name.decode())
        return dict.__getitem__(self, name)

read = set()
os.environ._data = Recorder()
from lakehouse.warm.server import PRELOADED
for name in PRELOADED:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
print(*sorted(read))
"""
KNOWN = {
    *("BUILDING_SPHINX_DOCS", "_NETWORKX_BUILDING_DOCS_", "_PYTHON_PROJECT_BASE"),
    *("_PYTHON_SYSCONFIGDATA_NAME", "TEMPORARILY_DISABLE_PROTOBUF_VERSION_CHECK"),
    *("HOME", "TZ"),  # are looked at again
}


@pytest.mark.nightly
def test_what_libraries_read_while_they_are_loaded_has_a_place_of_its_own() -> None:
    """A variable that a library reads once is the first caller's for all, unless it is listed."""
    found = subprocess.check_output([sys.executable, "-c", RECORDER], text=True, timeout=300)
    assert "GRPC_PYTHON_DISABLE_ABSL_INIT_LOG" in found.split(), "that the recorder records"
    unknown = [name for name in found.split() if not name.startswith(DECIDED)]
    assert set(unknown) <= KNOWN, unknown
