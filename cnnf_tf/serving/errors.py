"""What goes wrong between a client and a server, by the names of gRPC's status codes."""

RETRIED = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})
"""Codes after which the same request may well succeed a moment later."""


class ServingError(OSError):
    """A request that was not answered; `message` says why.

    Attributes:
      code: name of the gRPC status code: "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE", "DEADLINE_EXCEEDED", ...
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def plain_words(message: str) -> str:
    """The words of an assertion inside the graph, without TensorFlow's nodes and brackets around them."""
    lines = [line for line in message.splitlines() if "assertion failed: " in line]
    if not lines:
        return message.split("\n\t [[")[0].strip()
    text = lines[0].split("assertion failed: ", 1)[1].strip()
    # "[words] [1 2] [3]" -> "words 1 2 3", keeping what brackets the words themselves have.
    return text.removeprefix("[").removesuffix("]").replace("] [", " ")
