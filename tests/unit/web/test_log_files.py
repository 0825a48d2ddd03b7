"""The log is static files: the right headers from our server, and any other one will do."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount

from consortium.cli import auditor
from consortium.web.log_files import LogFiles, headers
from provenance.backend import FolderBackend
from provenance.sequencer import Sequencer
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, made, trusting
from tests.fakes.log import MemoryLock
from tests.servers import free_port

ROOT = Path(__file__).parents[3]
NGINX = ROOT / "deploy" / "log" / "nginx.conf"
FILES = {
    "checkpoint": "text",
    "log.vkey": "text",
    "tile/0/000": "tile",
    "tile/0/001.p/4": "tile",
    "tile/1/000.p/1": "tile",
    "tile/entries/000": "entries",
    "tile/entries/001.p/4": "entries",
}
KINDS = {
    "text": ("text/plain; charset=utf-8", "public, max-age=2"),
    "tile": ("application/octet-stream", "public, max-age=31536000, immutable"),
    "entries": ("application/octet-stream", "public, max-age=31536000, immutable"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 260 entries."""
    made_ = tmp_path_factory.mktemp("served") / "log"
    log = Sequencer(FolderBackend(made_), MemoryLock(), LOG, POLICY, trusting())
    log.append([made("union", "approval", kind="x", n=n).entry for n in range(260)], NOON)
    (made_ / "log.vkey").write_text(LOG.verifier.vkey + "\n")
    return made_


@pytest.fixture
def ours(folder: Path) -> Iterator[TestClient]:
    app = Starlette(routes=[Mount("/", LogFiles(directory=folder))])
    with TestClient(app) as client:
        yield client


def check(client: TestClient | httpx.Client, path: str, raw: bytes) -> None:
    """What every server of a log answers."""
    for encoding in ("identity", "gzip"):
        answer = client.get(f"/{path}", headers={"accept-encoding": encoding})
        assert answer.status_code == 200
        assert answer.content == raw  # decoded, if it was encoded
        kind, cache = KINDS[FILES[path]]
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == cache
        assert answer.headers["access-control-allow-origin"] == "*"
        packed = answer.headers.get("content-encoding") == "gzip"
        assert packed <= (encoding == "gzip" and FILES[path] == "entries")
        if path == "tile/entries/000":
            assert packed == (encoding == "gzip")
            assert "accept-encoding" in answer.headers["vary"].lower()


def check_missing(client: TestClient | httpx.Client) -> None:
    """A cache must not keep that something is not there yet."""
    for path in ("/tile/0/002", "/tile/entries/001.p/5", "/nothing"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", FILES)
def test_each_kind_of_file_has_its_headers(ours: TestClient, folder: Path, path: str) -> None:
    check(ours, path, (folder / path).read_bytes())
    again = ours.get(f"/{path}", headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in again.headers


def test_what_is_not_there_yet_is_kept_by_no_cache(ours: TestClient) -> None:
    check_missing(ours)


def test_entries_travel_in_less_than_half_of_their_bytes(ours: TestClient, folder: Path) -> None:
    raw = (folder / "tile/entries/000").read_bytes()
    with ours.stream("GET", "/tile/entries/000", headers={"accept-encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert len(sent) < len(raw) / 2
    assert gzip.decompress(sent) == raw


# -- any other server


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def verified(url: str, *more: str) -> tuple[int, str]:
    words = [word for one in WITNESSES for word in ("--witness", one.verifier.vkey)]
    done = CliRunner().invoke(
        auditor.command, ["verify", url, "--vkey", LOG.verifier.vkey, *words, "--quorum", "2"]
    )
    return done.exit_code, done.output


def test_a_server_that_knows_nothing_of_logs_serves_one(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(copy)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{httpd.server_port}"
        code, said = verified(url)
        assert code == 0, said
        assert "260 entries" in said
        (copy / "tile/0/001.p/4").unlink()
        code, said = verified(url)
        assert (code, "tile/0/001.p/4: is missing" in said) == (1, True), said
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@contextmanager
def nginx(folder: Path, home: Path) -> Iterator[httpx.Client]:
    """A real nginx with the configuration that we hand out."""
    port = free_port()
    text = NGINX.read_text().replace("/var/lib/trellis/log", str(folder))
    (home / "log.conf").write_text(re.sub(r"listen 127[^;]*;", f"listen 127.0.0.1:{port};", text))
    # Started by root it would read the folder as nobody, who may not look into this test's.
    user = "user root;" if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(
        f"{user} daemon off; pid {home}/pid; error_log {home}/error.log;\n"
        "events { worker_connections 64; }\n"
        "http {\n"
        + "".join(
            f"{name}_temp_path {home}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"include {home}/log.conf;\n}}\n"
    )
    words = [shutil.which("nginx") or "nginx", "-p", str(home), "-c", str(home / "nginx.conf")]
    checked = subprocess.run([*words, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    running = subprocess.Popen(words)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            for _ in range(4800):
                try:
                    client.get("/checkpoint")
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
            yield client
    finally:
        running.terminate()
        running.wait(240)


def test_our_nginx_configuration_serves_a_log(folder: Path, tmp_path: Path) -> None:
    if shutil.which("nginx") is None:  # the test after this one has read it
        assert NGINX.exists()
        return
    with nginx(folder, tmp_path) as client:
        for path in FILES:
            check(client, path, (folder / path).read_bytes())
        check_missing(client)
        assert client.post("/checkpoint").status_code in (403, 405)
        assert verified(str(client.base_url))[0] == 0


def test_our_nginx_configuration_says_the_same_headers_as_our_server() -> None:
    text = re.sub(r"#.*", "", NGINX.read_text())
    assert text.count("{") == text.count("}")
    for line in filter(None, map(str.strip, text.splitlines())):
        assert line[-1] in ";{}", line
    blocks = dict(re.findall(r"location (?:\^~ )?(\S+) \{(.*?)\n    \}", text, re.DOTALL))
    assert set(blocks) == {"/", "/tile/", "@missing"}
    for place, path in (("/", "checkpoint"), ("/tile/", "tile/entries/000")):
        said = headers(path)
        assert f'default_type "{said.pop("Content-Type")}";' in blocks[place]
        said.pop("Vary", None)  # gzip_vary says it
        for name, value in said.items():
            assert f'add_header {name} "{value}"' in blocks[place]
    assert "gzip_vary on;" in blocks["/tile/"]
    assert '"no-store" always' in blocks["@missing"]
