"""Identity providers for the tests: a small real one of OpenID Connect, and one that signs SAML."""

import base64
import hashlib
import json
import secrets
import threading
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from onelogin.saml2.utils import OneLogin_Saml2_Utils

CLIENT, SECRET = "athos", "the client's secret"


# --- OpenID Connect -------------------------------------------------------------------------------


class OpenIdProvider:
    """Authorization code with PKCE. Whoever comes is `person`, without being asked."""

    def __init__(self) -> None:
        self.person: dict[str, object] = {}
        self.audience = CLIENT
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, dict[str, object]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"

    def get(self, to: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(to.path)
        if parts.path == "/.well-known/openid-configuration":
            places = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            self._json(
                to,
                {
                    "issuer": self.issuer,
                    "jwks_uri": f"{self.issuer}/jwks",
                    "token_endpoint_auth_methods_supported": ["client_secret_post"],
                    **{f"{n}_endpoint": f"{self.issuer}/{p}" for n, p in places.items()},
                },
            )
        elif parts.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            code = secrets.token_urlsafe()
            self.codes[code] = asked
            back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            to.send_response(302)
            to.send_header("Location", back)
            to.end_headers()
        else:
            token = to.headers.get("Authorization", "").removeprefix("Bearer ")
            self._json(to, self.tokens.get(token), 200 if token in self.tokens else 401)

    def post(self, to: BaseHTTPRequestHandler) -> None:
        body = to.rfile.read(int(to.headers["Content-Length"])).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.codes.pop(given.get("code", ""), None)
        if asked is None or given.get("client_secret") != SECRET or not _proved(asked, given):
            self._json(to, {"error": "invalid_grant"}, 400)
            return
        token = secrets.token_urlsafe()
        self.tokens[token] = dict(self.person)
        now = datetime.now(UTC)
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        id_token = jwt.encode(claims | self.person, "x" * 32, algorithm="HS256")
        self._json(to, {"access_token": token, "token_type": "Bearer", "id_token": id_token})

    @staticmethod
    def _json(to: BaseHTTPRequestHandler, body: object, status: int = 200) -> None:
        to.send_response(status)
        to.send_header("Content-Type", "application/json")
        to.end_headers()
        to.wfile.write(json.dumps(body).encode())


def _proved(asked: dict[str, str], given: dict[str, str]) -> bool:
    digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked.get("code_challenge")


@contextmanager
def openid_provider():
    provider = OpenIdProvider()
    thread = threading.Thread(target=provider.server.serve_forever, daemon=True)
    thread.start()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()
    thread.join(5)


# --- SAML -----------------------------------------------------------------------------------------

ENTITY = "https://login.example.com/saml"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_ASSERTION = """<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"
 xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 ID="_{mark}a" Version="2.0" IssueInstant="{now}"><saml:Issuer>{issuer}</saml:Issuer>
<saml:Subject><saml:NameID
 Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{subject}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
<saml:SubjectConfirmationData NotOnOrAfter="{end}" Recipient="{acs}" InResponseTo="{request}"/>
</saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{begin}" NotOnOrAfter="{end}"><saml:AudienceRestriction>
<saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AuthnStatement AuthnInstant="{now}" SessionIndex="_{mark}s"><saml:AuthnContext>
<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>
</saml:AuthnContext></saml:AuthnStatement>
<saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue
 xsi:type="xs:string">{email}</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>
</saml:Assertion>"""
_RESPONSE = """<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_{mark}r" Version="2.0"
 IssueInstant="{now}" Destination="{acs}" InResponseTo="{request}">
<saml:Issuer>{issuer}</saml:Issuer><samlp:Status><samlp:StatusCode
 Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{assertion}</samlp:Response>"""


class SamlProvider:
    """Signs what it is told to, with a key of its own."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "login.example.com")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.certificate = certificate.public_bytes(pem).decode()
        self.key = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def answer(
        self,
        request_id: str,
        *,
        acs: str,
        audience: str,
        email: str,
        subject: str = "subject-1",
        issuer: str = ENTITY,
        minutes_ago: int = 0,
        signed: bool = True,
    ) -> str:
        """The form's SAMLResponse."""
        now = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        facts = {
            "mark": secrets.token_hex(8),
            "now": now.strftime(_TIME),
            "begin": (now - timedelta(minutes=2)).strftime(_TIME),
            "end": (now + timedelta(minutes=5)).strftime(_TIME),
            "issuer": issuer,
            "subject": subject,
            "email": email,
            "acs": acs,
            "audience": audience,
            "request": request_id,
        }
        assertion = _ASSERTION.format(**facts)
        if signed:
            made = OneLogin_Saml2_Utils.add_sign(assertion, self.key, self.certificate)
            assertion = made.decode()
        return base64.b64encode(_RESPONSE.format(**facts, assertion=assertion).encode()).decode()


def request_id_of(location: str) -> str:
    """The id of the request that a redirect to the provider carries."""
    packed = base64.b64decode(parse_qs(urlsplit(location).query)["SAMLRequest"][0])
    return ElementTree.fromstring(zlib.decompress(packed, -15)).attrib["ID"]
