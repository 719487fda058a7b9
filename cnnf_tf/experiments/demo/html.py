"""One self-contained HTML page: text is escaped, pictures are data URIs, and nothing is fetched or run.

    pictures = picture_rows([[picture(values, alt="A boot")]], caption="PSNR < 20 dB")
    text = page(title="What feedback does", lead=[paragraph("...")], sections=[section("Repair", pictures)])

Every function returns `Html`, which goes into others as it is; any other text is escaped. The page reads on a phone and
on paper, follows the reader's choice of light or dark, and forbids itself any request by its own security policy.
"""

import base64
import html
import io
import string
from collections.abc import Iterable, Sequence

import numpy as np

from cnnf_tf.experiments.demo.html_style import STYLE

_VOID = frozenset({"img", "source"})


class Html(str):
    """Markup that is safe as it stands; every other string is escaped before it goes into a page."""

    __slots__ = ()


def element(tag: str, *parts: str, **attributes: str) -> Html:
    """`<tag attributes>parts</tag>`; parts and attributes are escaped unless they are `Html`.

    Args:
      tag: name of the element.
      *parts: what it holds.
      **attributes: `class_` is `class`, `aria_label` is `aria-label`.
    """
    named = {name.rstrip("_").replace("_", "-"): html.escape(value) for name, value in attributes.items()}
    written = "".join(f' {name}="{value}"' for name, value in named.items())
    return Html(f"<{tag}{written}>" if tag in _VOID else f"<{tag}{written}>{joined(parts)}</{tag}>")


def joined(parts: Iterable[str]) -> Html:
    """The parts one after the other, escaped where they are not `Html`."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def paragraph(*parts: str) -> Html:
    """A paragraph."""
    return element("p", *parts)


def code(text: str) -> Html:
    """Text as it is typed."""
    return element("code", text)


def bullets(texts: Iterable[str]) -> Html:
    """A list."""
    return element("ul", *(element("li", text) for text in texts))


def section(title: str, *blocks: str, kicker: str = "") -> Html:
    """A part of the page under a heading; `kicker` is a word above it."""
    above = [element("p", kicker, class_="kicker")] if kicker else []
    return element("section", *above, element("h2", title), *blocks)


def data_uri(png: bytes) -> str:
    """A PNG as the address of a picture."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def png_bytes(values: np.ndarray) -> bytes:
    """A PNG of `[height, width]` or `[height, width, 1 or 3]` in [0, 1]; one byte a value, without time stamps.

    Raises:
      ValueError: another shape.
    """
    from PIL import Image

    values = np.asarray(values, np.float32)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,)):
        raise ValueError(f"a picture is [height, width] or [height, width, 1 or 3 channels], got shape {values.shape}.")
    stored = io.BytesIO()
    Image.fromarray(np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)).save(stored, "PNG", optimize=True)
    return stored.getvalue()


def picture(values: np.ndarray, *, alt: str, caption: str = "", title: str = "", mark: str = "") -> Html:
    """A small picture, enlarged without smoothing.

    Args:
      values: see `png_bytes`.
      alt: what it shows, for who cannot see it.
      caption: below it.
      title: above it.
      mark: "good" or "bad" colours the caption.
    """
    image = element("img", src=data_uri(png_bytes(values)), alt=alt, class_="pixels")
    above = [element("span", title, class_="above")] if title else []
    below = [element("span", caption, class_=f"below {mark}".strip())] if caption else []
    return element("div", *above, image, *below, class_="tile")


def picture_rows(rows: Sequence[Sequence[Html]], *, caption: str = "") -> Html:
    """Pictures in rows, in equal columns however narrow the page, with a text below; each row equally many."""
    lines = [element("div", *row, class_="row", style=f"--columns: {len(row)}") for row in rows]
    below = [element("figcaption", caption)] if caption else []
    return element("figure", *lines, *below)


def chart(light: bytes, dark: bytes, *, alt: str, caption: str, width: int) -> Html:
    """A drawing, given as a PNG for light and one for dark surroundings.

    Args:
      light: PNG for a light page.
      dark: PNG for a dark one.
      alt: what it shows, with the numbers.
      caption: below it.
      width: its width in CSS pixels, if there is room.
    """
    dark_source = element("source", srcset=data_uri(dark), media="(prefers-color-scheme: dark)")
    image = element("img", src=data_uri(light), alt=alt, width=str(width))
    return element("figure", element("picture", dark_source, image), element("figcaption", caption), class_="chart")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> Html:
    """A table under its caption; on a narrow screen the table scrolls by itself. The first cell of a row names it."""
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    whole = element("table", element("thead", head), element("tbody", *body), aria_label=caption)
    scrolling = element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return element("figure", element("figcaption", caption), scrolling)


def details(summary: str, *blocks: str) -> Html:
    """Blocks that are folded away until the reader opens them."""
    return element("details", element("summary", summary), *blocks)


def facts(entries: Iterable[tuple[str, Sequence[str], str]]) -> Html:
    """The numbers to see first: of each a name, the number in parts, and what it means."""
    cards = [
        element(
            "div",
            element("dt", name),
            element("dd", element("strong", *value), element("span", meaning)),
            class_="card",
        )
        for name, value, meaning in entries
    ]
    return element("dl", *cards, class_="cards")


def page(*, title: str, lead: Sequence[str], sections: Sequence[Html], footer: Sequence[str] = ()) -> str:
    """The whole document.

    Args:
      title: heading, and name of the window.
      lead: blocks between the heading and the first section.
      sections: see `section`.
      footer: blocks at the end.
    """
    return _DOCUMENT.substitute(
        title=joined([title]),
        style=STYLE,
        lead=joined(lead),
        sections=joined(sections),
        footer=joined(footer),
    )


_DOCUMENT = string.Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<link rel="icon" href="data:,">
<style>
$style</style>
</head>
<body>
<header>
<h1>$title</h1>
$lead
</header>
<main>
$sections
</main>
<footer>
$footer
</footer>
</body>
</html>
""")
