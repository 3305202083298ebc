"""A Spark cluster on this machine: a master, workers and a Connect server, as plain processes.

For trying what a cluster changes, executors that are not the driver and can be lost above all. The
daemons trust those who know a secret that is made for them and kept in a file of the owner's; each
worker has a folder of its own, which neither the driver nor another worker uses.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import psutil

from lakehouse.dev.servers import (
    Server,
    all_servers,
    find_server,
    free_port,
    is_listening,
    start_server,
    stop_server,
)
from lakehouse.dev.spark import NAMES, refuse_another_driver, start_driver
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.cluster import Resources, cluster_configuration, cluster_jars
from lakehouse.spark.java import find_java_home, find_spark_home
from lakehouse.spark.runtime import write_settings
from lakehouse.spark.scratch import hold_scratch, scratch_dir
from lakehouse.storage.lake import Lake
from lakehouse.waiting import wait_until

MASTER: Final = "spark-master"
WORKER: Final = "spark-worker-"
HISTORY: Final = "spark-history"
MAX_WORKERS: Final = 64

_MASTER_CLASS: Final = "org.apache.spark.deploy.master.Master"
_WORKER_CLASS: Final = "org.apache.spark.deploy.worker.Worker"
_HISTORY_CLASS: Final = "org.apache.spark.deploy.history.HistoryServer"
_DAEMON_MEMORY: Final = "256m"
_REGISTER_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Cluster:
    """What runs; `history` only if it was asked for."""

    connect: Server
    master: Server
    workers: list[Server]
    history: Server | None


def start_cluster(
    settings: LakeSettings,
    workers: int,
    *,
    cores: int = 1,
    memory: str = "1g",
    port: int | None = None,
    with_history: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> Cluster:
    """Start a standalone cluster of the lake and its Connect server; return when all are ready.

    `cores` and `memory` are of each worker, and so of its executor. Everything listens on free
    ports of 127.0.0.1, the Connect server on `port` if one is given. A cluster that runs is
    returned as it is. Raises `EtaError`, and leaves no process behind, when a part does not start;
    `AnotherDriver` when the lake is in a bucket and another Spark may write it.
    """
    if (running := find_cluster(settings)) is not None:
        return _same(running, workers)
    if find_server(NAMES["connect"], settings.dev_dir / NAMES["connect"]) is not None:
        raise EtaError(
            "a Spark server without a cluster is running here",
            remedy="end it with `eta dev spark down` first",
        )
    if port is not None and is_listening(port):
        raise EtaError(
            f"port {port} of 127.0.0.1 is taken",
            remedy="name another one with --port, or --port 0 for any that is free",
        )
    refuse_another_driver(settings)
    stop_cluster(settings)  # what a cluster that died in part has left
    try:
        return _start(settings, workers, cores, memory, port or free_port(), with_history, on_step)
    except BaseException:
        stop_cluster(settings)
        raise


def find_cluster(settings: LakeSettings) -> Cluster | None:
    """Return the cluster of this home if its master and its Connect server run."""
    found = {server.name: server for server in all_servers(settings.dev_dir)}
    connect, master = found.get(NAMES["connect"]), found.get(MASTER)
    if connect is None or master is None:
        return None
    workers = [server for name, server in found.items() if name.startswith(WORKER)]
    return Cluster(connect, master, workers, found.get(HISTORY))


def stop_cluster(settings: LakeSettings) -> list[str]:
    """End the parts that run, the driver first; return their names."""
    found = [server.name for server in all_servers(settings.dev_dir)]
    parts = [NAMES["connect"], *(n for n in found if n.startswith(WORKER)), MASTER, HISTORY]
    return [name for name in parts if stop_server(name, settings.dev_dir / name)]


def executors(worker: Server) -> list[psutil.Process]:
    """Return the executors that a worker runs now."""
    try:
        children = psutil.Process(worker.pid).children()
        return [one for one in children if "CoarseGrainedExecutorBackend" in _command_line(one)]
    except psutil.NoSuchProcess:
        return []


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _same(running: Cluster, workers: int) -> Cluster:
    if len(running.workers) == workers:
        return running
    raise EtaError(
        f"a cluster with {len(running.workers)} workers is running here",
        remedy="end it with `eta dev spark down`, then start it again with another number",
    )


def _start(
    settings: LakeSettings,
    workers: int,
    cores: int,
    memory: str,
    port: int,
    with_history: bool,
    on_step: Callable[[str], None],
) -> Cluster:
    lake = Lake(settings)
    lake.restrict()
    events = settings.dev_dir / HISTORY / "events" if with_history else None
    master_port = free_port()
    url = f"spark://127.0.0.1:{master_port}"
    on_step("Configuring Spark")
    environment = _environment(settings, url, workers, cores, memory, events)
    # not the Connect server's: it takes this for its heap
    of_daemons = {**environment, "SPARK_DAEMON_MEMORY": _DAEMON_MEMORY}
    hold_scratch(lake)  # empties it, before the workers make their folders in it
    on_step("Starting the master")
    master = _start_master(settings, of_daemons, master_port)
    on_step(f"Starting {workers} workers")
    with ThreadPoolExecutor(workers) as pool:

        def start(number: int) -> Server:
            return _start_worker(settings, of_daemons, number, cores, memory, url)

        started = list(pool.map(start, range(1, workers + 1)))
    _wait_for_workers(master, workers)
    on_step("Starting the Connect server")
    connect = start_driver(settings, "connect", port, environment)
    history = None
    if events is not None:
        on_step("Starting the history server")
        history = _start_history(settings, of_daemons)
    return Cluster(connect, master, started, history)


def _environment(
    settings: LakeSettings,
    url: str,
    workers: int,
    cores: int,
    memory: str,
    events: Path | None,
) -> dict[str, str]:
    """Write the configuration; return the variables that all of the cluster's processes have."""
    resources = Resources(url, workers * cores, cores, memory)
    configuration = {
        **cluster_configuration(settings, cluster_jars(settings), resources),
        # of this machine alone
        "spark.authenticate": "true",
        "spark.authenticate.secret": token_hex(32),
        "spark.network.crypto.enabled": "true",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.killEnabled": "false",
        "spark.master.rest.enabled": "false",
    }
    if events is not None:
        events.mkdir(parents=True, exist_ok=True)
        configuration |= {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": events.as_uri(),
            "spark.history.fs.logDirectory": events.as_uri(),
            "spark.history.ui.port": str(free_port()),
        }
    folder = settings.dev_dir / MASTER / "conf"
    write_settings(folder, configuration)
    return {
        "JAVA_HOME": str(find_java_home(settings.cache_dir, dict(os.environ))),
        "SPARK_HOME": str(find_spark_home()),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }


def _daemon(environment: Mapping[str, str], name: str, *arguments: str) -> list[str]:
    return [str(Path(environment["SPARK_HOME"]) / "bin" / "spark-class"), name, *arguments]


def _start_master(settings: LakeSettings, environment: Mapping[str, str], port: int) -> Server:
    page = free_port()
    return start_server(
        MASTER,
        settings.dev_dir / MASTER,
        _daemon(
            environment,
            *(_MASTER_CLASS, "--host", "127.0.0.1"),
            *("--port", str(port), "--webui-port", str(page)),
        ),
        addresses={"master": f"spark://127.0.0.1:{port}", "url": f"http://127.0.0.1:{page}"},
        is_ready=lambda: is_listening(port) and is_listening(page),
        environment=environment,
    )


def _start_worker(
    settings: LakeSettings,
    environment: Mapping[str, str],
    number: int,
    cores: int,
    memory: str,
    url: str,
) -> Server:
    name = f"{WORKER}{number}"
    folder, page = settings.dev_dir / name, free_port()
    scratch = scratch_dir(Lake(settings)) / name
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    return start_server(
        name,
        folder,
        _daemon(
            environment,
            *(_WORKER_CLASS, "--host", "127.0.0.1", "--webui-port", str(page)),
            *("-c", str(cores), "-m", memory, "--work-dir", str(folder / "work"), url),
        ),
        addresses={"url": f"http://127.0.0.1:{page}"},
        is_ready=lambda: is_listening(page),
        environment={**environment, "SPARK_LOCAL_DIRS": str(scratch)},
    )


def _start_history(settings: LakeSettings, environment: Mapping[str, str]) -> Server:
    text = (Path(environment["SPARK_CONF_DIR"]) / "spark-defaults.conf").read_text("utf-8")
    named = dict(line.split(" ", 1) for line in text.splitlines())
    port = int(named["spark.history.ui.port"])
    return start_server(
        HISTORY,
        settings.dev_dir / HISTORY,
        _daemon(environment, _HISTORY_CLASS),
        addresses={"url": f"http://127.0.0.1:{port}"},
        is_ready=lambda: is_listening(port),
        environment=environment,
    )


def _wait_for_workers(master: Server, workers: int) -> None:
    def are_there() -> bool:
        return len(alive_workers(master)) >= workers

    if not wait_until(are_there, _REGISTER_SECONDS, every=0.2):
        raise EtaError(
            f"{len(alive_workers(master))} of {workers} workers came to the master within "
            f"{_REGISTER_SECONDS} s",
            remedy=f"read {master.log} and the server.log of each worker beside it",
        )


def alive_workers(master: Server) -> list[dict[str, Any]]:
    """Return what the master says of its workers that are alive; none while it does not answer."""
    try:
        with urllib.request.urlopen(  # noqa: S310 - a fixed scheme and host
            f"{master.addresses['url']}/json/", timeout=5
        ) as response:
            state = json.load(response)
    except (OSError, ValueError):
        return []
    return [worker for worker in state["workers"] if worker["state"] == "ALIVE"]
