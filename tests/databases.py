"""A private PostgreSQL on loopback for tests, from whatever server is installed here."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

_READY_S = 30.0
_names = count()


def server_programs() -> Path | None:
    """The folder of initdb and postgres, None when no server is installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    folders = [*debian, *([Path(found).parent] if found else [])]
    return next((f for f in folders if (f / "initdb").exists()), None)


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str) -> None:
    deadline_s = time.monotonic() + _READY_S
    while True:
        try:
            return psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)


@contextmanager
def running_postgres(programs: Path) -> Iterator[str]:
    """Start a server in a folder of its own; yields the address of its first database."""
    user, port = _server_user(), _free_port()
    folder = Path(tempfile.mkdtemp(prefix="moss-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    make = ["initdb", "-D", "data", "-U", "moss", "--auth=trust", "--no-sync", "-E", "UTF8"]
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    run = ["postgres", "-D", "data", "-F", *(f"--{k}={v}" for k, v in options.items())]
    with (folder / "log").open("wb") as log:
        quiet = {"cwd": folder, "user": user, "stdout": log, "stderr": log}
        subprocess.run([programs / make[0], *make[1:]], check=True, **quiet)
        server = subprocess.Popen([programs / run[0], *run[1:]], **quiet)
        try:
            _wait_until_ready(f"postgresql://moss@127.0.0.1:{port}/postgres")
            yield f"postgresql://moss@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=_READY_S)
            shutil.rmtree(folder)


def new_database(server: str) -> str:
    """Create an empty database on a server; returns its address."""
    name = f"catalogue_{next(_names)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.rsplit("/", 1)[0] + f"/{name}"
