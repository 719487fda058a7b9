"""Ways to get a data set's files onto this machine: Debian's package, or a network that answers quickly."""

import os
import pathlib
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_IDX_DIR = pathlib.Path("/usr/share/datasets/fashion-mnist")


def install_debian_package(report: Callable[[str], None], timeout_s: float = 300.0) -> None:
    """Installs Debian's package with Fashion-MNIST's IDX files.

    Args:
      report: Told what goes on.
      timeout_s: Seconds each apt-get command may take.

    Raises:
      FileNotFoundError: If this is not a Debian or Ubuntu system.
      PermissionError: If the user is not root.
      OSError: If apt-get fails or takes too long.
    """
    if shutil.which("apt-get") is None:
        raise FileNotFoundError(
            f"apt-get is not on this machine, so the Debian package {DEBIAN_PACKAGE} cannot be installed."
        )
    if os.geteuid() != 0:
        raise PermissionError(
            f"only root may install packages; run `sudo apt-get install {DEBIAN_PACKAGE}` and try again."
        )
    report(f"Installing the Debian package {DEBIAN_PACKAGE} ...")
    install = ["install", "-y", "--no-install-recommends", DEBIAN_PACKAGE]
    if _apt_get(install, timeout_s) is not None:  # no package lists yet, or outdated ones
        _apt_get(["update"], timeout_s)
        problem = _apt_get(install, timeout_s)
        if problem is not None:
            raise OSError(f"`apt-get install {DEBIAN_PACKAGE}` failed: {problem}")
    if not DEBIAN_IDX_DIR.is_dir():
        raise FileNotFoundError(f"{DEBIAN_PACKAGE} is installed, but its folder {DEBIAN_IDX_DIR} is not there.")


def check_reachable(url: str, timeout_s: float = 5.0) -> None:
    """Asks for the head of a URL, through the proxy of the environment if there is one.

    Args:
      url: Any answer of its server will do, errors included.
      timeout_s: Seconds to wait, name resolution included.

    Raises:
      ConnectionError: If no answer comes.
    """
    answers: list[str | None] = []
    # Name resolution heeds no timeout, hence the thread; a daemon, so that it cannot keep the program alive.
    thread = threading.Thread(target=lambda: answers.append(_ask(url, timeout_s)), daemon=True)
    thread.start()
    thread.join(timeout_s)
    problem = answers[0] if answers else "no answer"
    if problem is not None:
        raise ConnectionError(f"{url} cannot be reached within {timeout_s:g} s ({problem}); is there a network?")


def _ask(url: str, timeout_s: float) -> str | None:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout_s).close()
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return None


def _apt_get(arguments: list[str], timeout_s: float) -> str | None:
    """Runs apt-get; the end of its output where it fails, else None."""
    options = ["-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15", "-o", "DPkg::Lock::Timeout=60"]
    try:
        done = subprocess.run(
            ["apt-get", *options, *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {timeout_s:g} s."
    return None if done.returncode == 0 else " ".join(done.stdout.split()[-60:])
