"""The way out to tenants' identity providers: public addresses only, and nothing without an end."""

from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from tenants.sign_in import ProviderAdapter
from webhooks.addresses import Refused, address_check, url_check

LARGEST = 1024 * 1024  # bytes of an answer
TIMEOUT = (3.0, 5.0)  # seconds to connect, and between bytes


class Adapter(ProviderAdapter):
    """As tenants.sign_in has it, with a way out that refuses addresses inside."""

    def get_requests_session(self) -> requests.Session:
        return OutwardSession()


class OutwardSession(requests.Session):
    """No environment's proxies, no redirects, https to public addresses; or what operators allow.

    What it refuses is a RequestException, as everything else that goes wrong on the way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.mount("https://", _OutwardAdapter())

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        session: requests.Session = self
        if any(_below(url, local) for local in settings.SSO_LOCAL_URLS):
            session = requests.Session()
            session.trust_env = False
        else:
            _checked(url_check, url)
        options |= {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
        response = requests.Session.request(session, method, url, **options)
        body = response.raw.read(LARGEST + 1, decode_content=True)
        if len(body) > LARGEST:
            raise requests.RequestException("The provider's answer is too large.")
        response._content = body  # where requests keeps what it has read
        return response


class _Connection(HTTPSConnection):
    def _new_conn(self) -> Any:
        """Looks at the address that was reached, before a byte is said: names can't lie."""
        socket = super()._new_conn()
        try:
            _checked(address_check, socket.getpeername()[0])
        except requests.RequestException:
            socket.close()
            raise
        return socket


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _OutwardAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Pool}


def _below(url: str, base: str) -> bool:
    base = base.rstrip("/")
    return url == base or url.startswith(f"{base}/")


def _checked(check: Any, text: str) -> None:
    try:
        check(text)
    except Refused as refused:
        raise requests.RequestException(str(refused)) from refused
