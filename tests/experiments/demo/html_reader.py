"""Reads an HTML page strictly, and checks that it stands alone."""

import html.parser

import tensorflow as tf


class Reader(html.parser.HTMLParser):
    """Collects the tags with their attributes, and checks that all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        if self.open:
            raise ValueError(f"never closed: {self.open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "source", "meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def assert_stands_alone(test: tf.test.TestCase, text: str) -> Reader:
    """The page is well formed, fetches and runs nothing, and says what each picture shows."""
    reader = Reader(text)
    test.assertEmpty(reader.all("script"))
    for attribute in ("src", "href", "srcset"):
        for _, attributes in reader.tags:
            test.assertStartsWith(attributes.get(attribute) or "data:", "data:")
    test.assertNotRegex(text, r"url\(|@import|https?://")
    for image in reader.all("img"):
        test.assertNotEmpty(image["alt"])
    policy = next(meta["content"] for meta in reader.all("meta") if "http-equiv" in meta)
    test.assertIn("default-src 'none'", policy)
    test.assertIn({"name": "viewport", "content": "width=device-width, initial-scale=1"}, reader.all("meta"))
    return reader
