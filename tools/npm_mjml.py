"""What npm's ``mjml`` makes of the sources in tests/golden/mjml, kept beside them.

.venv/bin/python tools/npm_mjml.py

Run it when tests/golden/test_mjml.py says that a source has other tags or attributes than the kept
one, after ``make golden``, and read the diff. Needs node with npm and a network; tests need
neither. The package is put into a temporary folder and leaves nothing there or here.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "4.18.0"
KEPT = Path(__file__).parents[1] / "tests/golden/mjml"


def main() -> None:
    """Install the one version, and render each source with no option."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-save", f"mjml@{VERSION}"],
            cwd=folder,
            check=True,
            stdout=sys.stderr,
        )
        for source in sorted(KEPT.glob("*.mjml")):
            words = ["node_modules/.bin/mjml", str(source), "--output", f"{source.stem}.html"]
            subprocess.run(words, cwd=folder, check=True)
            html = (Path(folder) / f"{source.stem}.html").read_text()
            (KEPT / f"{source.stem}.html").write_text(html)
            sys.stdout.write(f"{source.stem}: {len(html):,} letters\n")


if __name__ == "__main__":
    main()
