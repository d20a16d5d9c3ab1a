"""A provider of logins on loopback, as OpenID Connect Core 1.0 describes one, whose people a test makes up.

It asks nobody anything: who comes to its login is logged in as ``person``.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT, SECRET = "brain-tumor", "a/secret+with=signs"
SOMEBODY = {"sub": "number-17", "email": "somebody@example.org"}


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Provider:
    """A running provider.

    Attributes:
        issuer: Its address.
        person: The claims of who logs in, beside those that every token has.
    """

    issuer: str
    person: Mapping[str, object] = field(default_factory=lambda: SOMEBODY)
    key: rsa.RSAPrivateKey = field(default_factory=new_key)
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)  # the login's parameters by the code given for it

    def token(self, key: rsa.RSAPrivateKey | None = None, **claims: object) -> str:
        """An ID token, signed with the provider's key or with another one."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 600, "email_verified": True}
        parts = [_encode({"alg": "RS256", "kid": "key", "typ": "JWT"}), _encode({**usual, **claims})]
        signature = (key or self.key).sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, _base64(signature)])

    def discovery(self) -> Mapping[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def keys(self) -> Mapping[str, object]:
        numbers = self.key.public_key().public_numbers()
        n, e = (_base64(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "key", "n": n, "e": e}]}

    def login(self, asked: Mapping[str, str]) -> str:
        """Where a browser goes that asked for a login."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def redeem(self, sent: Mapping[str, str]) -> Mapping[str, object] | None:
        """The tokens for a code that a login gave; None without the proof that the same client asked (RFC 7636)."""
        asked = self.codes.pop(sent["code"])
        proof = _base64(hashlib.sha256(sent["code_verifier"].encode()).digest())
        if (proof, sent["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
            return None
        token = self.token(**{"nonce": asked["nonce"], **self.person})
        return {"access_token": "opaque", "token_type": "Bearer", "expires_in": 600, "id_token": token}


@contextmanager
def provider() -> Iterator[Provider]:
    """A running provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", running.login(_flat(url.query)))
                self.end_headers()
            else:
                self._send({"/.well-known/openid-configuration": running.discovery, "/keys": running.keys}[url.path]())

        def do_POST(self) -> None:
            sent = _flat(self.rfile.read(int(self.headers["Content-Length"])).decode())
            basic = base64.b64encode(urlencode({CLIENT: SECRET}).replace("=", ":", 1).encode()).decode()
            known = self.headers["Authorization"] == f"Basic {basic}" or sent.get("client_secret") == SECRET
            tokens = running.redeem(sent) if known else None
            self._send(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

        def _send(self, document: Mapping[str, object], status: int = 200) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Provider(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def _encode(document: Mapping[str, object]) -> str:
    return _base64(json.dumps(document).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
