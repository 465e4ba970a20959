"""How Sphinx makes the site that we serve at /docs. Decision 14 says why Sphinx.

Our pages allow neither inline scripts nor inline styles, which the theme writes; they become files
when everything else is built.
"""

import hashlib
import re
from pathlib import Path

from sphinx.application import Sphinx

project = author = "Athos"
html_title = "Athos docs"
extensions = ["myst_parser", "sphinx_design", "sphinx_copybutton"]
root_doc = "index"
nitpicky = True  # the tests build with -W: a link to nowhere fails there

# Markdown as GitHub shows it; headings are link targets, down to the third level.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/mark.svg"
html_copy_source = html_show_sourcelink = html_show_sphinx = html_show_copyright = False
html_use_index = False
pygments_style = "default"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_logo": "mark.svg",
    "dark_logo": "mark.svg",
    "light_css_variables": {
        "color-brand-primary": "#4338ca",
        "color-brand-content": "#4338ca",
        "color-brand-visited": "#4338ca",
        "color-sidebar-link-text": "var(--color-foreground-primary)",
        "color-sidebar-link-text--top-level": "var(--color-foreground-primary)",
        "font-stack": 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif',
        "font-stack--monospace": "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#a5a0ff",
        "color-brand-content": "#a5a0ff",
        "color-brand-visited": "#a5a0ff",
        "color-sidebar-link-text": "var(--color-foreground-primary)",
        "color-sidebar-link-text--top-level": "var(--color-foreground-primary)",
    },
}

INLINE_SCRIPT = re.compile(r"<script>(.+?)</script>", re.DOTALL)
INLINE_SHEET = re.compile(r"<style>(.+?)</style>", re.DOTALL)
CAPTION = '<p class="caption" role="heading"'  # of Sphinx, without the level that ARIA requires
LEVELLED = CAPTION + ' aria-level="2"'
STYLE_ATTRIBUTE = re.compile(r' style="([^"]+)"')


def setup(app: Sphinx) -> None:
    app.connect("build-finished", inline_to_files)


def inline_to_files(app: Sphinx, failure: Exception | None) -> None:
    """Move each inline script and style into a file beside the theme's own; mend captions."""
    if failure or app.builder.format != "html":
        return
    site = Path(app.outdir)
    (site / "_static" / "inline").mkdir(exist_ok=True)
    attributes: dict[str, str] = {}
    for page in site.rglob("*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1)

        def script(found: re.Match[str], up: str = up) -> str:
            return f'<script src="{up}{_file(site, found[1], "js")}"></script>'

        def sheet(found: re.Match[str], up: str = up) -> str:
            return f'<link rel="stylesheet" href="{up}{_file(site, found[1], "css")}">'

        def attribute(found: re.Match[str]) -> str:
            attributes[_name(found[1])] = found[1]
            return f' data-style="{_name(found[1])}"'

        text = INLINE_SCRIPT.sub(script, page.read_text()).replace(CAPTION, LEVELLED)
        page.write_text(STYLE_ATTRIBUTE.sub(attribute, INLINE_SHEET.sub(sheet, text)))
    rules = "".join(f'[data-style="{name}"] {{ {rule} }}\n' for name, rule in attributes.items())
    with (site / "_static" / "site.css").open("a") as site_css:
        site_css.write(rules)


def _file(site: Path, text: str, ending: str) -> str:
    path = f"_static/inline/{_name(text)}.{ending}"
    (site / path).write_text(text)
    return path


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
