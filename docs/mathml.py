"""A hook of the site: GitHub's $`inline`$ and ```math formulas become MathML, which browsers draw without a script."""

import html
import re
from typing import Any

from latex2mathml.converter import convert


def on_page_content(content: str, **_: Any) -> str:
    """After Markdown, to which a formula is code: nothing in it was taken for markup."""

    def drawn(found: re.Match[str]) -> str:
        formula = html.unescape(found[2]).replace("{aligned}", "{align*}")
        return convert(formula) if found[1] == "$<code>" else f"{found[1]}{convert(formula, display='block')}</div>"

    return re.sub(r'(\$<code>|<div class="math">)(.+?)(?:</code>\$|</div>)', drawn, content, flags=re.DOTALL)
