"""When a rep is reminded of an assignment. Pure: dates in, times out. All in UTC."""

from datetime import UTC, date, datetime, time, timedelta

from calls.models import Assignee

Reminder = Assignee.Reminder
MORNING = time(8, 0)
AHEAD = timedelta(days=2)
APART = timedelta(hours=12)  # mails nearer to each other than this are one too many


def due_end(due_on: date) -> datetime:
    """The first moment that is too late."""
    return datetime.combine(due_on, time(), UTC) + timedelta(days=1)


def reminder_after(
    last: Reminder, *, at: datetime, due_on: date
) -> tuple[Reminder, datetime] | None:
    """What follows the reminder that was due and is done with now, `at`; None: nothing more."""
    later = list(Reminder)[list(Reminder).index(last) + 1 :]
    for kind in later:
        when = _moment(kind, due_on)
        if when >= at + APART:
            return kind, when
    return None


def _moment(kind: Reminder, due_on: date) -> datetime:
    morning = datetime.combine(due_on, MORNING, UTC)
    return morning - AHEAD if kind is Reminder.SOON else morning
