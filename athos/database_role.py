"""Whatever serves must be held by row-level security. A process that isn't ends itself."""

import logging
import os
import signal
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

_QUESTION = """
    select rolsuper, rolbypassrls, exists (
        select from pg_class
        where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
        and pg_has_role(current_user, relowner, 'member'))
    from pg_roles where rolname = current_user
"""
_checked_by: set[int] = set()  # process ids: a forked worker looks again


def role_problem(connection: BaseDatabaseWrapper) -> str:
    """Why this connection's role must not serve, empty when it may."""
    with connection.cursor() as cursor:
        cursor.execute(_QUESTION)
        superuser, bypasses, owns = cursor.fetchone()
    if superuser:
        return "is a superuser"
    if bypasses:
        return "has BYPASSRLS"
    return "owns tables, or is a member of their owner" if owns else ""


def refuse_wrong_role(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """On a process's first connection to `default`: end the process when its role is too strong.

    On the first connection and not at import, because a process may start before its database.
    """
    if connection.alias != "default" or os.getpid() in _checked_by:
        return
    _checked_by.add(os.getpid())
    problem = role_problem(connection)
    if not problem:
        return
    message = f"DATABASE_URL's role {problem}, so row-level security would not hold. Use athos_app."
    logger.critical(message)
    connection.close()
    os.kill(os.getpid(), signal.SIGTERM)
    raise ImproperlyConfigured(message)
