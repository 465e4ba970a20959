"""What a file of people says, line by line. Pure: text in, lines and problems out."""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from calls.reps.editing import LONGEST, email_checked, text_checked
from tenants.errors import InvalidRequest

COLUMNS = ("externalUserId", "name", "email", "agency", "team")
LARGEST = 512 * 1024  # bytes
MOST_LINES = 5000
MOST_PROBLEMS = 100  # told
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Line:
    """One person. What the file leaves empty is empty here; `agency` as the integrator names it."""

    number: int  # in the file, the head is 1
    external_id: str
    name: str = ""
    email: str = ""
    agency: str = ""
    team: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Sheet:
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]


def sheet_decode(content: bytes) -> str:
    """The text of an uploaded file. Raises InvalidRequest for what is no such file."""
    if len(content) > LARGEST:
        raise InvalidRequest(f"The file has more than {LARGEST // 1024} KiB. Split it.")
    if content[:4] in {b"PK\x03\x04", b"\xd0\xcf\x11\xe0"}:
        raise InvalidRequest("This is a spreadsheet. Save it as CSV (UTF-8) first.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as odd:
        raise InvalidRequest("The file is not UTF-8. Save it as CSV (UTF-8).") from odd
    if "\x00" in text:
        raise InvalidRequest("The file is not a text file.")
    return text


def sheet_read(text: str) -> Sheet:
    """Its lines, and what is wrong with those that are left out. Raises InvalidRequest where the
    head or the form of the whole is wrong."""
    if len(text.encode()) > LARGEST:
        raise InvalidRequest(f"The file has more than {LARGEST // 1024} KiB. Split it.")
    rows = _rows(text.removeprefix("\ufeff"))
    places = _head(rows)
    lines: list[Line] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(lines) + len(problems) >= MOST_LINES:
            raise InvalidRequest(f"The file has more than {MOST_LINES} people. Split it.")
        try:
            line = _line(number, row, places)
            first = seen.setdefault(line.external_id, number)
            if first != number:
                raise InvalidRequest(f"The same externalUserId stands in line {first}.")
            lines.append(line)
        except InvalidRequest as refused:
            problems.append(Problem(number, refused.message))
    if not lines and not problems:
        raise InvalidRequest("The file names nobody.")
    return Sheet(tuple(lines), tuple(problems))


def sheet_write(people: Sequence[Line]) -> str:
    """A file that `sheet_read` takes. What a spreadsheet would run as a formula gets a quote."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for line in people:
        cells = (line.external_id, line.name, line.email, line.agency, line.team)
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells])
    return out.getvalue()


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    head = text.partition("\n")[0]
    delimiter = max((",", ";", "\t"), key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as odd:
            raise InvalidRequest(f"Line {number}: a quote is not closed, or a cell is too long.") \
                from odd  # fmt: skip
        if row is None:
            return
        yield number, row


def _head(rows: Iterator[tuple[int, list[str]]]) -> Mapping[str, int]:
    """The place of each column that the file has."""
    _, cells = next(rows, (1, []))
    names = {name.casefold(): name for name in COLUMNS}
    places: dict[str, int] = {}
    for place, cell in enumerate(cells):
        known = names.get(cell.strip().casefold())
        if known is None:
            raise InvalidRequest(
                f"The first line names the columns {', '.join(COLUMNS)}."
                f" “{cell.strip()[:40]}” is none of them."
            )
        if known in places:
            raise InvalidRequest(f"The column {known} stands there twice.")
        places[known] = place
    if "externalUserId" not in places:
        raise InvalidRequest("The first line must name the column externalUserId.")
    return places


def _line(number: int, row: Sequence[str], places: Mapping[str, int]) -> Line:
    if len(row) > len(places):
        raise InvalidRequest(f"There are {len(row)} cells for {len(places)} columns.")
    cell = {name: _cell(row[at]) if at < len(row) else "" for name, at in places.items()}
    external_id = _external_id(cell["externalUserId"], "externalUserId")
    if not external_id:
        raise InvalidRequest("externalUserId is empty.")
    return Line(
        number=number,
        external_id=external_id,
        name=text_checked(cell.get("name", ""), "name"),
        email=email_checked(cell.get("email", "")),
        agency=_external_id(cell.get("agency", ""), "agency"),
        team=text_checked(cell.get("team", ""), "team"),
    )


def _cell(text: str) -> str:
    """Without the quote that `sheet_write`, and spreadsheets, put before a formula."""
    text = text.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _external_id(text: str, field: str) -> str:
    """As the API takes it: 200 characters of anything that is text."""
    if len(text) > LONGEST:
        raise InvalidRequest(f"The {field} has at most {LONGEST} characters.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise InvalidRequest(f"The {field} holds a character that is no text.")
    return text
