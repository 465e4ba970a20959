"""Small pictures and figures of a rep's progress."""

from collections.abc import Sequence

from django import template

from calls.reps.progress import Attempt

register = template.Library()

WIDTH, HEIGHT, EDGE = 220, 56, 5  # of the picture


@register.inclusion_tag("reps/_spark.html")
def spark(attempts: Sequence[Attempt]) -> dict[str, object]:
    """The points of these attempts, the oldest first, on a scale of 0 to 100."""
    step = (WIDTH - 2 * EDGE) / max(len(attempts) - 1, 1)
    dots = [
        {"x": round(EDGE + n * step, 1), "y": _height(attempt.points), "attempt": attempt}
        for n, attempt in enumerate(attempts)
    ]
    return {
        "dots": dots,
        "line": " ".join(f"{dot['x']},{dot['y']}" for dot in dots),
        "points": [attempt.points for attempt in attempts],
        "width": WIDTH,
        "height": HEIGHT,
        "top": _height(100),
        "bottom": _height(0),
    }


@register.simple_tag
def share(value: float | None) -> str:
    return "–" if value is None else f"{round(100 * value)} %"


def _height(points: float) -> float:
    return round(HEIGHT - EDGE - points / 100 * (HEIGHT - 2 * EDGE), 1)
