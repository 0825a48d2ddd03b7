"""A real PKCS#11 token in software: Debian's SoftHSM, with a store of its own."""

import os
import subprocess
from pathlib import Path

PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
PIN, TOKEN = "24680", "trellis-test"


def module() -> str:
    """Path of the library; its package is installed by ``tools/setup dev``."""
    found = [place for place in PLACES if Path(place).exists()]
    assert found, "install softhsm2 (Debian), softhsm (Fedora, macOS): tools/setup dev does"
    return found[0]


def prepare(folder: Path) -> str:
    """Make a token in ``folder``, for this process and its children; return the library's path."""
    (folder / "tokens").mkdir(parents=True)
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)  # read when the library loads; one store a process
    words = ["--init-token", "--free", "--label", TOKEN, "--so-pin", "13579", "--pin", PIN]
    subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)
    return module()
