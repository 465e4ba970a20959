"""What is counted of calls, over all tenants (docs/operations.md). No label names anybody."""

from collections.abc import Mapping

from prometheus_client import Counter, Histogram

_SECONDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.5, 5.0, 10.0)

_calls = Counter("athos_calls", "Calls that came so far.", ["stage"])
_ended = Counter("athos_calls_ended", "Calls that ended, by why.", ["reason"])
_answers = Histogram(
    "athos_answer_seconds",
    "From the rep's last sound to the answer's first, at the server.",
    buckets=_SECONDS,
)
_parts = Histogram(
    "athos_answer_part_seconds", "The parts of an answer's time.", ["part"], buckets=_SECONDS
)
_barge_ins = Histogram(
    "athos_barge_in_seconds",
    "From the rep's first sound to the persona's silence.",
    buckets=(0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0, 2.0),
)
_faults = Counter("athos_turn_faults", "Turns that went wrong, by how.", ["fault"])
_frames = Counter("athos_frames_sent", "Frames of 20 ms sent to reps.")
_late = Counter("athos_frames_late", "Of those, sent over 20 ms after they were due.")
PARTS = ("silence", "brain", "voice", "playout", "lead")  # of an answer, docs/latency.md
FRAME_LATE = 0.02  # seconds


def call_reached(stage: str) -> None:
    _calls.labels(stage).inc()


def call_ended(reason: str) -> None:
    _ended.labels(reason).inc()


def turn_taken(latency: Mapping[str, float], *, missed_end: float) -> None:
    """The ledger of one turn in milliseconds; a turn found over after `missed_end` was missed."""
    if "mouth_to_ear" in latency:
        _answers.observe(latency["mouth_to_ear"] / 1000)
        for part in PARTS:
            _parts.labels(part).observe(latency.get(part, 0.0) / 1000)
    if "barge_in" in latency:
        _barge_ins.observe(latency["barge_in"] / 1000)
    _faults.labels("cut_off").inc("cut_off" in latency)
    _faults.labels("missed_end").inc(latency.get("decided", 0.0) > missed_end)
    _faults.labels("false_stop").inc(latency.get("false_stops", 0.0))


def frame_sent(late: float) -> None:
    """A frame went out `late` seconds after it was due."""
    _frames.inc()
    if late > FRAME_LATE:
        _late.inc()
