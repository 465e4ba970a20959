"""One log line: `time level logger message key=value`, ids and figures only."""

import logging
import time
import traceback
import uuid
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SCALARS = (str, uuid.UUID, bool, int, float, type(None))
_LONGEST_VALUE = 120  # characters
_ABOUT_CODE = (ImportError, AttributeError, NameError, AssertionError, ImproperlyConfigured)


class KeyValueFormatter(logging.Formatter):
    """Prints of `extra` only what is known to be an id, a code or a number.

    An allow-list, because a name, a prompt or a sentence in a log can't be taken back. A text
    under another name appears as `name=?`, so that whoever wrote the line sees that it is missing;
    objects (Django adds the request) don't appear at all.
    """

    NAMES: ClassVar[frozenset[str]] = frozenset(
        {"code", "reason", "status", "method", "route", "stage", "kind", "queue", "event", "child"}
        | {"provider", "engine", "host", "signal", "error", "pid", "state", "check", "version"}
        | {"place"}
    )
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record)} {record.levelname} {record.name} {_message(record)}"
        facts = (
            f"{name}={self._value(name, value)}"
            for name, value in sorted(vars(record).items())
            if name not in _OWN and isinstance(value, _SCALARS)
        )
        line = " ".join([head.replace("\n", "\\n"), *facts])
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line

    def formatException(self, ei: Any) -> str:  # noqa: N802, logging's own spelling
        """Where and what kind, for the whole chain; the message only where it is about code."""
        error, parts = ei[1], []
        while error is not None:
            frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
            parts.append(f"{frames}\n{_kind(error)}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\ncaused by\n".join(parts)

    def _value(self, name: str, value: Any) -> str:
        if value is None or isinstance(value, bool | int | float):
            return str(value)
        if (
            name not in self.NAMES
            and not f"_{name}".endswith("_id")
            and not isinstance(value, uuid.UUID)
        ):
            return "?"
        text = str(value)[:_LONGEST_VALUE]
        return text if text.isprintable() and " " not in text else repr(text)


def _message(record: logging.LogRecord) -> str:
    """The message, with the route in place of a request's path: that may hold a rep's name."""
    request = getattr(record, "request", None)
    path = getattr(request, "path", None)
    if path and isinstance(record.args, tuple):
        route = getattr(getattr(request, "resolver_match", None), "route", "?")
        written = {path, path.encode("unicode_escape").decode()}  # Django escapes what is not ASCII
        args = tuple(f"/{route}" if value in written else value for value in record.args)
        return str(record.msg) % args if args else str(record.msg)
    return record.getMessage()


def _kind(error: BaseException) -> str:
    """The class, and what names the cause without quoting data: a row's value, a person's words."""
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, _ABOUT_CODE):
        return f"{name}: {error}"
    for attribute in ("sqlstate", "errno", "code"):
        value = getattr(error, attribute, None)
        if isinstance(value, str | int):
            return f"{name} {attribute}={value}"
    return name
