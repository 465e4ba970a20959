import logging
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from django.urls import ResolverMatch

from athos.logs import KeyValueFormatter


def line(message: str = "Call ended", **extra: object) -> str:
    record = logging.makeLogRecord(
        {"name": "calls", "levelname": "INFO", "msg": message, "created": 0.5, "msecs": 500}
    )
    vars(record).update(extra)
    return KeyValueFormatter().format(record)


def error_line(error: Exception) -> str:
    try:
        raise error
    except Exception as raised:
        return line(exc_info=(type(raised), raised, raised.__traceback__))


def test_a_line_is_time_level_logger_message_facts():
    assert line() == "1970-01-01T00:00:00.500Z INFO calls Call ended"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"call_id": "athos_call_1"}, "call_id=athos_call_1"),
        ({"callId": "c1"}, "callId=?"),  # our own ids are written with an underscore
        ({"tries": 3}, "tries=3"),
        ({"late_ms": 1.5}, "late_ms=1.5"),
        ({"owner": uuid.UUID(int=1)}, "owner=00000000-0000-0000-0000-000000000001"),
        ({"code": "NOT_FOUND"}, "code=NOT_FOUND"),
        ({"reason": "two words\n"}, "reason='two words\\n'"),
    ],
)
def test_ids_codes_and_figures_are_printed(extra, expected):
    assert line(**extra).endswith(f"Call ended {expected}")


@pytest.mark.parametrize(
    "name", ["words", "text", "prompt", "email", "token", "said", "paid", "key"]
)
def test_any_other_text_is_not(name):
    assert "secret" not in line(**{name: "secret words"})
    assert f"{name}=?" in line(**{name: "secret words"})


def test_objects_are_not_printed():
    assert line(request=object(), words=["secret"]) == line()


@pytest.mark.parametrize(
    ("path", "route"),
    [("/reps/rep_8842", "reps/<n>"), ("/reps/Zoë", "reps/<n>"), ("/rep_8842", "?")],
)
def test_a_request_is_named_by_its_route(path, route):
    request = RequestFactory().delete(path)
    request.path = path
    if route != "?":
        request.resolver_match = ResolverMatch(print, (), {}, route=route)
    escaped = path.encode("unicode_escape").decode()  # as Django writes it
    written = line("%s: %s", args=("Not Found", escaped), request=request)
    assert written.endswith(f"Not Found: /{route}")


def test_a_line_stays_one_line():
    assert "\n" not in line("two\nlines")


def test_a_long_value_is_cut():
    assert len(line(call_id="x" * 10_000)) < 250


def test_a_traceback_keeps_the_place_and_drops_the_data():
    text = error_line(ValueError("the person said hello"))
    assert "test_logs.py" in text
    assert "builtins.ValueError" in text
    assert "hello" not in text


def test_the_cause_is_told_too():
    error = ValueError("secret")
    error.__cause__ = OSError(2, "secret")
    assert "caused by" in error_line(error)
    assert "FileNotFoundError errno=2" in error_line(error)
    assert "secret" not in error_line(error)


def test_an_error_about_code_keeps_its_message():
    assert "SECRET_KEY is missing" in error_line(ImproperlyConfigured("SECRET_KEY is missing"))
