"""A tenant's colour made readable: what is written in it or on it keeps WCAG's contrast. Pure."""

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass

TEXT_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, level AA
STEPS = 50

Rgb = tuple[float, float, float]  # 0..1


@dataclass(frozen=True, slots=True)
class Scheme:
    """The style sheet's colours that an accent stands on, and how to get away from them."""

    grounds: tuple[str, ...]
    soft_share: float  # how much of the accent is in `soft`, the rest is the first ground
    towards: float  # 0: darker, 1: lighter


LIGHT = Scheme(("#ffffff", "#f5f5f8", "#f0f0f5"), 0.12, 0.0)
DARK = Scheme(("#1b1b25", "#121219", "#242431"), 0.24, 1.0)


@dataclass(frozen=True, slots=True)
class Accent:
    """CSS colours: `color` for text and lines, `soft` behind it; `fill` of buttons, `on` on it."""

    color: str
    soft: str
    fill: str
    on: str


def accent_of(color: str, scheme: Scheme) -> Accent:
    """The nearest shade of `color` (#rrggbb) that can be read everywhere in this scheme."""
    shades = list(_shades(color, scheme.towards))
    text = next(shade for shade in shades if _readable(shade, scheme))
    fill = next(shade for shade in shades if contrast(shade, _written_on(shade)) >= TEXT_CONTRAST)
    return Accent(color=text, soft=_mixed(text, scheme), fill=fill, on=_written_on(fill))


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio, 1 to 21."""
    brighter, darker = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _shades(color: str, towards: float) -> Iterator[str]:
    """From the colour itself to black or white."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(color))
    for step in range(STEPS + 1):
        shade = lightness + (towards - lightness) * step / STEPS
        yield _hex(colorsys.hls_to_rgb(hue, shade, saturation))


def _readable(shade: str, scheme: Scheme) -> bool:
    behind = (*scheme.grounds, _mixed(shade, scheme))
    return all(contrast(shade, ground) >= TEXT_CONTRAST for ground in behind)


def _written_on(color: str) -> str:
    return max(("#ffffff", "#14141c"), key=lambda text: contrast(text, color))


def _mixed(color: str, scheme: Scheme) -> str:
    share = scheme.soft_share
    pairs = zip(_rgb(color), _rgb(scheme.grounds[0]), strict=True)
    red, green, blue = (share * part + (1 - share) * ground for part, ground in pairs)
    return _hex((red, green, blue))


def _luminance(color: Rgb) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: str) -> Rgb:
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _hex(color: Rgb) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in color)
