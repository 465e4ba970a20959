"""Settings: the environment, read once. A missing or odd value stops the process by name.

`manage.py up` writes `var/embedded.env`; processes started by hand next to it read the same file.
Real environment variables always win over that file. `docs/settings.md` lists every variable.
"""

import sys
from datetime import timedelta
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
VAR_DIR = Path(env.str("ATHOS_VAR", default=str(BASE_DIR / "var"))).resolve()
_COMMAND = sys.argv[1] if len(sys.argv) > 1 else ""
# `up` writes that file, and must not take the last run's engines for somebody's own.
if _COMMAND != "up" and (VAR_DIR / "embedded.env").is_file() and "DATABASE_URL" not in env.ENVIRON:
    environ.Env.read_env(VAR_DIR / "embedded.env")

EMBEDDED = env.bool("ATHOS_EMBEDDED", default=False)
# `up` makes the secrets and the engines, so it must load settings before either exists.
# The type checker's Django plugin reads settings too, on a machine where nothing runs.
BOOTSTRAP = (
    _COMMAND in {"up", "makemigrations", "help", "doctor", "talk", "whisper_convert"}
    or "mypy" in sys.modules
)


def _secret(name: str) -> str:
    value: str = env.str(name, default="bootstrap-only" * 4 if BOOTSTRAP else "")
    if len(value) < 32:
        raise ImproperlyConfigured(f"{name} is missing or shorter than 32 characters.")
    return value


def _keyring(name: str) -> dict[str, str]:
    """`kid:secret,kid2:secret2`; the first is used for new values, all are accepted."""
    ring = {}
    for entry in _secret(name).split(",") if not BOOTSTRAP else ["bootstrap:" + "x" * 40]:
        kid, _, secret = entry.strip().partition(":")
        if not kid or len(secret) < 32:
            raise ImproperlyConfigured(
                f"{name}: '{kid}' needs the form id:secret (32+ characters)."
            )
        ring[kid] = secret
    return ring


def _rate(name: str, default: str) -> tuple[int, int]:
    """`requests/seconds`: so many at once, and as many again in each span of time."""
    quota, _, window = env.str(name, default=default).partition("/")
    if not (quota.isdecimal() and window.isdecimal() and int(quota) and int(window)):
        raise ImproperlyConfigured(f"{name} needs the form requests/seconds, such as {default}.")
    return int(quota), int(window)


def _next_port(origin: str) -> str:
    """Where `up` lets the example integrator answer."""
    parts = urlsplit(origin)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{port}')}:{port + 1}"


DEBUG = False
SECRET_KEY = _secret("SECRET_KEY")
SESSION_TOKEN_KEYS = _keyring("SESSION_TOKEN_KEYS")
API_KEY_PEPPERS = _keyring("API_KEY_PEPPERS")
ENCRYPTION_KEYS = _keyring("ENCRYPTION_KEYS")  # secrets at rest

PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
TRUSTED_PROXY_NETWORKS = env.list("TRUSTED_PROXY_NETWORKS", default=[])
try:
    TRUSTED_PROXY_NETWORKS = [str(ip_network(text)) for text in TRUSTED_PROXY_NETWORKS]
except ValueError as odd:
    raise ImproperlyConfigured(f"TRUSTED_PROXY_NETWORKS: {odd}") from odd
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin.apps.SimpleAdminConfig",  # registers nothing by itself
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.saml",
    "allauth.usersessions",
    "axes",
    "channels",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "athos",
    "calls",
    "scoring",
    "webhooks",
    "work",
    "tenants",
]

MIDDLEWARE = [
    "athos.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "athos.framing.FramedErrorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "athos.urls"
ASGI_APPLICATION = "athos.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenants.navigation.frame",
            ],
        },
    },
]

# --- the truth -------------------------------------------------------------------------------
# "default" is athos_app, which owns nothing and obeys row-level security; "owner" only migrates.
_DEAD_DATABASE = "postgres://bootstrap@localhost:1/none"
_POOL = {"min_size": 0, "max_size": env.int("DATABASE_POOL", default=8), "timeout": 1.0}


def _database(name: str, **options: object) -> dict[str, object]:
    url = env.str(name, default=_DEAD_DATABASE if BOOTSTRAP else environ.Env.NOTSET)
    config: dict[str, object] = environ.Env.db_url_config(url)
    given: dict[str, object] = config.pop("OPTIONS", {})  # type: ignore[assignment]
    if "host" in given:  # postgres://role@/name?host=/folder/of/the/socket
        config["HOST"] = given.pop("host")
    return config | {"CONN_MAX_AGE": 0, "OPTIONS": {"connect_timeout": 5, **given, **options}}


DATABASES = {
    "default": _database("DATABASE_URL", pool=_POOL),
    "owner": _database("DATABASE_OWNER_URL"),
}
DATABASE_ROUTERS = ["athos.routers.OwnerMigrates"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenants.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("MinimumLengthValidator", {"min_length": 10}),
        ("UserAttributeSimilarityValidator", {"user_attributes": ("email", "name")}),
        ("CommonPasswordValidator", {}),
    )
]

# --- mail ------------------------------------------------------------------------------------
# smtp+tls://user:password@host:587, smtp+ssl://…; embedded, mails become files. Empty: none go out.
EMAIL_URL = env.str("EMAIL_URL", default=f"filemail:///{VAR_DIR}/mail" if EMBEDDED else "")
try:
    vars().update(env.email_url_config(EMAIL_URL or "dummymail:"))
except ValueError as odd:
    raise ImproperlyConfigured("EMAIL_URL: smtp+tls://user:password@host:587 or so.") from odd
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Athos <athos@localhost>")

# --- signing in ------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # refuses who is locked out, before a password is tried
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_ADAPTER = "tenants.sign_in.Adapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # an invitation's link or a provider proves addresses
ACCOUNT_EMAIL_NOTIFICATIONS = bool(EMAIL_URL)  # of changes to how one signs in
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no mail to strangers who are not in
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(PUBLIC_URL).scheme
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # of this browser; all others are signed out
ACCOUNT_SESSION_REMEMBER = True  # no question asked; SESSION_COOKIE_AGE decides
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600  # seconds that a proof of who one is stays fresh
ACCOUNT_RATE_LIMITS = {  # against guessing from many addresses; axes locks out a single one
    "login": "30/m/ip",
    "login_failed": "20/m/ip,50/h/key",
    "reset_password": "20/m/ip,5/h/key",
}
AXES_HANDLER = "axes.handlers.cache.AxesCacheHandler"  # forgets by itself, keeps no personal data
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # nobody locks others out of their account
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_USERNAME_CALLABLE = "tenants.lockout.account_named"
AXES_CLIENT_IP_CALLABLE = "tenants.lockout.address_of"
AXES_LOCKOUT_CALLABLE = "tenants.lockout.locked_page"
AXES_ENABLE_ADMIN = False
MFA_ADAPTER = "tenants.sign_in.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = EMBEDDED  # http://localhost
MFA_TOTP_ISSUER = "Athos"
MFA_TOTP_TOLERANCE = 1  # periods of 30 s that a clock may be off
MFA_RECOVERY_CODES_SHOW_ONCE = True
# Whether tenants that say nothing about it ask their members for a second factor.
MFA_REQUIRED = env.bool("MFA_REQUIRED", default=not EMBEDDED)
SOCIALACCOUNT_ADAPTER = "athos.single_sign_on.Adapter"
SOCIALACCOUNT_LOGIN_ON_GET = True  # a form could not be led on to the provider: form-action 'self'
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
# Identity providers that are not on the public internet, to which we may talk all the same.
SSO_LOCAL_URLS = env.list("SSO_LOCAL_URLS", default=[])
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
SESSION_COOKIE_AGE = 12 * 3600

# --- the bell --------------------------------------------------------------------------------
# redis://host:port or unix:///path (Kombu wants its own spelling of a socket path).
REDIS_URL = env.str("REDIS_URL", default="redis://localhost:1" if BOOTSTRAP else environ.Env.NOTSET)
CHANNEL_PREFIX = env.str("CHANNEL_PREFIX", default="athos")
_SOCKET = {"socket_timeout": 2, "socket_connect_timeout": 1}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            # longer than the layer's own wait of 5 s for a message
            "hosts": [{"address": REDIS_URL, "socket_timeout": 8, "socket_connect_timeout": 1}],
            "capacity": 500,
            "expiry": 30,
            "prefix": CHANNEL_PREFIX,
        },
    },
}
CACHES = {  # counts tries to sign in, for all web processes together
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": CHANNEL_PREFIX,
        "OPTIONS": _SOCKET,
    },
}
RATE_LIMITS = {  # requests, seconds (docs/rate-limits.md)
    "key": _rate("RATE_LIMIT_KEY", "6000/60"),
    "redeem": _rate("RATE_LIMIT_REDEEM", "3000/60"),
    "unknown-keys": _rate("RATE_LIMIT_UNKNOWN_KEYS", "600/60"),
}
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_TASK_QUEUES = {  # work.kinds.QUEUES; a worker without -Q serves both
    name: {"exchange": name, "routing_key": name} for name in ("quick", "slow")
}
CELERY_TASK_DEFAULT_QUEUE = "quick"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # nobody asks; each worker would hold more connections
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # leases decide, not the broker
CELERY_BEAT_SCHEDULER = "work.sweep:SweepScheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Valkey may be away for as long as it likes
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A message is only a bell: one lost with its worker is rung again by the sweep. The timeout
    # must exceed the longest task, or the same bell is answered many times over.
    "visibility_timeout": 3600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "max_retries": 2,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.5,
    **_SOCKET,
}

# --- speech and the live call ----------------------------------------------------------------
# http+unix:///path/to.sock or an OpenAI-compatible https://host/v1 base.
SPEECH_URL = env.str("SPEECH_URL", default=f"http+unix://{VAR_DIR}/run/speech.sock")
SPEECH_API_KEY = env.str("SPEECH_API_KEY", default="")
# Who hears a call again after its end; live words always come from SPEECH_URL.
JUDGE_URL = env.str("JUDGE_URL", default="")  # an OpenAI-compatible base; empty: embedded
JUDGE_MODEL = env.str("JUDGE_MODEL", default="")
JUDGE_API_KEY = env.str("JUDGE_API_KEY", default="")
if JUDGE_URL and not JUDGE_MODEL:
    raise ImproperlyConfigured("JUDGE_URL needs JUDGE_MODEL.")


def _engine(kind: str) -> dict[str, str]:
    """`<KIND>_URL`, `_MODEL`, `_API_KEY`: an OpenAI-compatible engine; empty without a URL."""
    url, model = env.str(f"{kind}_URL", default=""), env.str(f"{kind}_MODEL", default="")
    if url and not model:
        raise ImproperlyConfigured(f"{kind}_URL needs {kind}_MODEL.")
    key = env.str(f"{kind}_API_KEY", default="")
    return {"url": url.rstrip("/"), "model": model, "key": key} if url else {}


CHAT = _engine("CHAT")  # phrases what the persona means to say; empty: authored lines
TRANSCRIPTION = _engine("TRANSCRIPTION")  # hears the rep during a call; empty: SPEECH_URL
VOICE = _engine("VOICE")  # speaks; empty: SPEECH_URL
VOICE_NAMES = env.json("VOICE_NAMES", default={})  # persona's voice -> the engine's, "*": all
if not isinstance(VOICE_NAMES, dict) or not all(isinstance(v, str) for v in VOICE_NAMES.values()):
    raise ImproperlyConfigured('VOICE_NAMES needs the form {"af_bella": "nova", "*": "alloy"}.')
# Bases that tenants may choose though they are not on the public internet.
PROVIDER_LOCAL_URLS = env.list("PROVIDER_LOCAL_URLS", default=[])
TRANSCRIBER = env.str("TRANSCRIBER", default="faster-whisper")
if TRANSCRIBER not in {"faster-whisper", "openai-whisper"}:
    raise ImproperlyConfigured("TRANSCRIBER must be faster-whisper or openai-whisper.")
if TRANSCRIBER == "openai-whisper" and find_spec("whisper") is None:
    raise ImproperlyConfigured("TRANSCRIBER=openai-whisper needs `make openai-whisper` first.")
LIVE_SLOTS = env.int("LIVE_SLOTS", default=0)  # calls of one live worker; 0: measured at its start
if LIVE_SLOTS < 0:
    raise ImproperlyConfigured("LIVE_SLOTS must not be negative.")
LINES_AHEAD = env.bool("LINES_AHEAD", default=True)  # make the personas' lines before they are said
LIVE_PUBLIC_ADDRESS = env.str("LIVE_PUBLIC_ADDRESS", default="")
LIVE_LOOPBACK = env.bool("LIVE_LOOPBACK", default=EMBEDDED)  # offer 127.0.0.1 as a candidate too
ICE_SERVERS = env.json("ICE_SERVERS", default=[])  # given to the browser
TURN_URLS = env.list("TURN_URLS", default=[])  # given to the browser, with credentials for its call
TURN_SECRET = env.str("TURN_SECRET", default="")
if TURN_URLS and not TURN_SECRET:
    raise ImproperlyConfigured("TURN_URLS needs TURN_SECRET, the static-auth-secret of coturn.")
if any(not url.startswith(("turn:", "turns:")) for url in TURN_URLS):
    raise ImproperlyConfigured("TURN_URLS must begin with turn: or turns:.")

# Networks, beside all that are not public, to which no webhook goes: our own public addresses.
WEBHOOK_REFUSED_NETWORKS = env.list("WEBHOOK_REFUSED_NETWORKS", default=[])

MEDIA_ROOT = env.str("RECORDINGS_DIR", default=str(VAR_DIR / "recordings"))
SDK_RELEASES_DIR = env.str("SDK_RELEASES_DIR", default=str(VAR_DIR / "sdk"))
VECTORS_DIR = VAR_DIR / "vectors"  # of example sentences; made again when they are gone
MODELS_DIR = Path(env.str("MODELS_DIR", default=str(VAR_DIR / "models")))

# --- pages and answers -----------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "athos.openapi.generating.DescribedSchema",
    "EXCEPTION_HANDLER": "athos.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": TRUSTED_PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Athos external API",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/external/v1",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "CAMELIZE_NAMES": True,
    "SORT_OPERATIONS": False,
    "PREPROCESSING_HOOKS": ["athos.openapi.generating.external_only"],
    "POSTPROCESSING_HOOKS": ["athos.openapi.generating.completed"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# Scripts run by nonce only, styles are files: nothing inline. Views that differ say so.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "media-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
# Web sites that may frame the rep's page without naming a tenant; embedded, the example does.
EMBED_ORIGINS = env.list("EMBED_ORIGINS", default=[_next_port(PUBLIC_URL)] if EMBEDDED else [])

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not EMBEDDED
SECURE_HSTS_SECONDS = 0 if EMBEDDED else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not EMBEDDED
SECURE_HSTS_PRELOAD = not EMBEDDED
SECURE_SSL_REDIRECT = not EMBEDDED
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- metrics: never public (docs/operations.md) ----------------------------------------------
METRICS_PORT = env.int("METRICS_PORT", default=9464)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 32:
    raise ImproperlyConfigured("METRICS_TOKEN is shorter than 32 characters.")

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": "athos.logs.KeyValueFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.db.backends": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},  # of each 4xx a line: junk would flood the log
        "daphne": {"level": "WARNING"},
        "aioice": {"level": "WARNING"},
        "aiortc": {"level": "WARNING"},
        "axes": {"level": "ERROR"},  # it would name people and addresses; tenants.lockout says it
    },
}
