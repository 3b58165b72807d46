"""States of models in a journal: texts in rows, contents among the bytes."""

from __future__ import annotations

import zlib

from weightsearch.exceptions import WeightsNotFoundError
from weightsearch.store._journal._content import JournalContent
from weightsearch.store._journal._database import ROWS_AHEAD, Row

__all__ = ["JournalStates"]


class JournalStates:
    """What a journal has of models besides their weights.

    Parameters
    ----------
    content : JournalContent

    Attributes
    ----------
    content : JournalContent
    """

    def __init__(self, content: JournalContent):
        self.content = content
        self._rows: dict[int, Row] = {}
        self._numbers: dict[str, int] = {}
        self._next = 0
        self._ahead: dict[int, Row | None] = {}
        self._first = self._end = 0

    def state(self, number: int) -> tuple[str, tuple[str, ...]] | None:
        """Return a fit's text and the names of its blobs, by the fit's id."""
        content = self.content
        if not content.database.has_table("state"):
            return None
        if not self._first <= number < self._end:
            self._fetch(number)
        if number not in self._ahead:
            return None
        place, row = f"state {number}", self._ahead[number]
        if row is None:
            raise content.corrupt(place, "its checksum is wrong")
        numbers = content.json(row[2], place)
        if not isinstance(numbers, list):
            raise content.corrupt(place, "its blobs are no list")
        names = tuple(self._row(blob)[1].decode() for blob in numbers)
        return row[1].decode(), names

    def _fetch(self, number: int) -> None:
        """Fetch a fit's row, and those of the fits behind it, which may come next."""
        database = self.content.database
        # A state is there as soon as its fit is: what is missing now stays so.
        end = max(number + 1, min(number + ROWS_AHEAD, self.content.n_seen))
        self._ahead, self._end = database.rows_ahead("state", number, end)
        self._first = number
        if self._end == number:
            self._ahead = dict(database.rows("state", "id=?", (number,)))

    def __contains__(self, name: str) -> bool:
        if name not in self._numbers:
            self._load()
        return name in self._numbers

    def nbytes(self, name: str) -> int:
        """Return the bytes of a blob."""
        return int(self._named(name)[3])

    def blob(self, name: str) -> bytes:
        """Return a blob's content, compared with its checksum."""
        number, _, position, nbytes, crc = self._named(name)
        raw = self.content.file.read(position, nbytes)
        place = f"blob {number}"
        if len(raw) != nbytes:
            raise self.content.corrupt(place, "it is cut off")
        if zlib.crc32(raw.data) != crc:
            raise self.content.corrupt(place, "its checksum is wrong")
        return raw.tobytes()

    def _named(self, name: str) -> Row:
        if name not in self._numbers:
            self._load()
        number = self._numbers.get(name)
        if number is None:
            raise WeightsNotFoundError(f"There is no content {name!r} in this run.")
        return self._row(number)

    def _row(self, number: object) -> Row:
        if not isinstance(number, int):
            raise self.content.corrupt("state", "a blob's id is no number")
        if number not in self._rows:
            self._load()
        row = self._rows.get(number)
        if row is None:
            raise self.content.corrupt(
                f"blob {number}", "it is missing or its checksum is wrong"
            )
        return row

    def _load(self) -> None:
        """See the rows that have come since."""
        content = self.content
        if not content.database.has_table("blob"):
            return
        for number, row in content.database.rows("blob", "id>=?", (self._next,)):
            self._next = number + 1
            if row is not None:
                self._rows[number] = row
                self._numbers[row[1].decode("utf-8", "replace")] = number
