"""A plot as an SVG text: points joined to curves, two axes, a legend. Nothing to install."""

from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 760, 460, 64, 52, 40
COLOURS = ("#1f6feb", "#d1495b", "#2a9d8f", "#8a6d3b")


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in order: across, up, what stands beside it."""

    name: str
    points: list[tuple[float, float, str]]


def scatter_svg(curves: list[Curve], *, title: str, across: str, up: str) -> str:
    points = [(x, y) for curve in curves for x, y, _ in curve.points if x == x and y == y]
    right = _round_up(max(x for x, _ in points))
    top = _round_up(max(max(y for _, y in points), 1.0))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16">{escape(title)}</text>',
        *_axes(right, top, across, up),
    ]
    for number, curve in enumerate(curves):
        parts += _curve(curve, COLOURS[number % len(COLOURS)], number, right, top)
    return "\n".join([*parts, "</svg>\n"])


def _x(value: float, right: float) -> float:
    return LEFT + value / right * (WIDTH - LEFT - 24)


def _y(value: float, top: float) -> float:
    return HEIGHT - BELOW - value / top * (HEIGHT - BELOW - ABOVE)


def _axes(right: float, top: float, across: str, up: str) -> list[str]:
    parts = []
    for step in range(6):
        x, y = right * step / 5, top * step / 5
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - 24}" y1="{_y(y, top):.1f}" y2="{_y(y, top):.1f}"'
            ' stroke="#ddd"/>',
            f'<text x="{LEFT - 8}" y="{_y(y, top) + 4:.1f}" text-anchor="end">{y:g}</text>',
            f'<text x="{_x(x, right):.1f}" y="{HEIGHT - BELOW + 18}"'
            f' text-anchor="middle">{x:g}</text>',
        ]
    middle = (HEIGHT - BELOW + ABOVE) / 2
    return [
        *parts,
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(across)}</text>",
        f'<text x="16" y="{middle}" transform="rotate(-90 16 {middle})" text-anchor="middle">'
        f"{escape(up)}</text>",
    ]


def _curve(curve: Curve, colour: str, number: int, right: float, top: float) -> list[str]:
    placed = [(_x(x, right), _y(y, top), label) for x, y, label in curve.points if x == x]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in placed)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for x, y, label in placed:
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        parts.append(
            f'<text x="{x + 6:.1f}" y="{y - 6:.1f}" font-size="10" fill="{colour}">'
            f"{escape(label)}</text>"
        )
    y = ABOVE + 16 * number
    parts.append(
        f'<text x="{WIDTH - 30}" y="{y + 8}" text-anchor="end" fill="{colour}">'
        f"{escape(curve.name)}</text>"
    )
    return parts


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten, so that five steps are round."""
    step = 10.0 ** (len(str(int(max(value, 1.0)))) - 1)
    return next(size * step for size in (1, 2, 5, 10) if size * step >= value)
