"""The transit engine of Vault and OpenBao as our adapter meets it: HTTP, versions, denials.

Real AES-256-GCM and real refusals, with the status and shape that the engine's API documents; no
storage, no seal, one token. Held to the same test class as every other kind of wrapping.
"""

import base64
import json
import os
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Answer = tuple[int, dict[str, Any]]


@dataclass
class Key:
    """One named key and its versions."""

    type: str = "aes256-gcm96"
    exportable: bool = False
    oldest: int = 1
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])


class Vault:
    """A transit mount at ``url``; ``token`` may do everything until it is changed."""

    def __init__(self) -> None:
        self.token, self.keys, self.sealed, self.calls = "t-1", dict[str, Key](), False, 0
        vault = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size) or b"{}")
                token = self.headers.get("X-Vault-Token", "")
                status, said = vault.said(self.command, self.path, token, body)
                raw = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rotate(self, name: str) -> None:
        """A new version; older ones still decrypt."""
        self.keys[name].versions.append(os.urandom(32))

    def said(self, method: str, path: str, token: str, body: dict[str, Any]) -> Answer:
        """Answer one call."""
        self.calls += 1
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        match path.split("/"):
            case ["", "v1", "transit", "keys", name] if method == "GET":
                return self._read(name)
            case ["", "v1", "transit", "keys", name]:
                self.keys.setdefault(name, Key(body["type"], bool(body.get("exportable"))))
                return 200, {"data": None}
            case ["", "v1", "transit", "encrypt", name]:
                return self._encrypt(name, body)
            case ["", "v1", "transit", "decrypt", name]:
                return self._decrypt(name, body)
        return 404, {"errors": ["no handler for route"]}

    def _read(self, name: str) -> Answer:
        if name not in self.keys:
            return 404, {"errors": []}
        key = self.keys[name]
        shown = {"type": key.type, "exportable": key.exportable, "derived": False}
        return 200, {"data": {**shown, "allow_plaintext_backup": False, "name": name}}

    def _encrypt(self, name: str, body: dict[str, Any]) -> Answer:
        if name not in self.keys:
            return 400, {"errors": ["encryption key not found"]}
        versions, nonce = self.keys[name].versions, os.urandom(12)
        plain, ad = (base64.b64decode(body[one]) for one in ("plaintext", "associated_data"))
        sealed = base64.b64encode(nonce + AESGCM(versions[-1]).encrypt(nonce, plain, ad)).decode()
        return 200, {"data": {"ciphertext": f"vault:v{len(versions)}:{sealed}"}}

    def _decrypt(self, name: str, body: dict[str, Any]) -> Answer:
        key = self.keys.get(name)
        parts = str(body["ciphertext"]).split(":")
        if key is None or len(parts) != 3 or parts[0] != "vault" or not parts[1][1:].isdigit():
            return 400, {"errors": ["invalid ciphertext: no prefix"]}
        version = int(parts[1][1:])
        if not key.oldest <= version <= len(key.versions):
            return 400, {"errors": ["ciphertext version is disallowed by policy (too old)"]}
        try:
            raw = base64.b64decode(parts[2], validate=True)
            ad = base64.b64decode(body["associated_data"])
            plain = AESGCM(key.versions[version - 1]).decrypt(raw[:12], raw[12:], ad)
        except (InvalidTag, ValueError):
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}
