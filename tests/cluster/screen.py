"""What a person would see: just enough of a terminal to replay what a program wrote to it."""

import re

_SEQUENCE = re.compile(rb"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[@-_]")
_CUT = re.compile(rb"\x1b(\[[?0-9;]*)?$")


class Screen:
    """Lines of text under a cursor; colours are counted, not shown."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0
        self.colours = 0
        self.moves = 0

    @property
    def lines(self) -> list[str]:
        """The lines from the first that was written, without blanks at their ends."""
        text = ["".join(line).rstrip() for line in self._lines]
        while text and not text[-1]:
            text.pop()
        return text

    def feed(self, data: bytes) -> "Screen":
        """Replay bytes; a sequence that is cut off at the end is left out."""
        data, place = _CUT.sub(b"", data), 0
        for found in _SEQUENCE.finditer(data):
            self._write(data[place : found.start()].decode(errors="replace"))
            if found.group(2):
                self._control(found.group(1).decode(), found.group(2).decode())
            place = found.end()
        self._write(data[place:].decode(errors="replace"))
        return self

    def _control(self, parameters: str, letter: str) -> None:
        count = int(parameters) if parameters.isdigit() else 1
        match letter:
            case "A":
                self._row = max(0, self._row - count)
                self.moves += 1
            case "K":
                self._lines[self._row] = [] if parameters == "2" else self._lines[self._row][: self._column]
            case "m":
                self.colours += any(code[:1] in "349" and len(code) > 1 for code in parameters.split(";"))
            case _:
                pass

    def _write(self, text: str) -> None:
        for each in text:
            match each:
                case "\r":
                    self._column = 0
                case "\n":
                    self._down()
                case _:
                    self._put(each)

    def _put(self, each: str) -> None:
        if self._column == self._width:
            self._column = 0
            self._down()
        line = self._lines[self._row]
        line.extend(" " * (self._column + 1 - len(line)))
        line[self._column] = each
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])
