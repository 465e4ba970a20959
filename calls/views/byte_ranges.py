"""Which bytes of a file a request is about (RFC 9110, section 14). Pure."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


class NotSatisfiable(ValueError):
    """The range begins behind the end."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def byte_range(header: str, *, size: int, most: int) -> ByteRange | None:
    """The one range asked for; None where the whole file is the answer.

    A range without an end gets `most` bytes: the asker sees where they end and asks for the rest.
    What is malformed, and several ranges at once, may be ignored and are. Raises NotSatisfiable.
    """
    asked = _ONE_RANGE.fullmatch(header)
    if asked is None or asked.group(1) == asked.group(2) == "":
        return None
    if asked.group(1) == "":  # the last so many bytes
        length = min(int(asked.group(2)), size)
        if length == 0:
            raise NotSatisfiable
        return ByteRange(size - length, size - 1)
    first = int(asked.group(1))
    last = int(asked.group(2)) if asked.group(2) else first + most - 1
    if last < first and asked.group(2):
        return None  # malformed
    if first >= size:
        raise NotSatisfiable
    return ByteRange(first, min(last, size - 1))
