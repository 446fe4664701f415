# SPDX-License-Identifier: GPL-2.0-or-later
"""Values out of a YAML document, each checked; an error names file, line, key and cause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import TypeVar

import yaml

E = TypeVar("E", bound=Enum)

_KINDS = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:int": "a whole number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:timestamp": "a date",
    "tag:yaml.org,2002:map": "a mapping",
    "tag:yaml.org,2002:seq": "a list",
}


class MatrixError(Exception):
    """matrix.yaml, or another file of its kind, cannot be used."""


class Value:
    """One value of the document, and where it stands."""

    def __init__(self, file: str, path: str, node: yaml.Node) -> None:
        self.file, self.path, self._node = file, path, node

    def error(self, cause: str) -> MatrixError:
        """The error to raise about this value."""
        return MatrixError(f"{self.file}:{self._node.start_mark.line + 1}: {self.path}: {cause}")

    def _scalar(self, kind: str) -> str:
        found = _KINDS.get(self._node.tag, self._node.tag)
        if found != kind or not isinstance(self._node, yaml.ScalarNode):
            remedy = "; put it in quotes" if kind == "text" and isinstance(self._node, yaml.ScalarNode) else ""
            raise self.error(f"{kind} expected, {found} found{remedy}")
        return str(self._node.value)

    def text(self) -> str:
        """Text that is not empty, its lines joined."""
        text = " ".join(self._scalar("text").split())
        if not text:
            raise self.error("text expected, an empty one found")
        return text

    def number(self) -> int:
        """A whole number above 0."""
        digits = self._scalar("a whole number")
        if not digits.isdecimal() or int(digits) == 0:
            raise self.error(f"a whole number above 0 expected, {digits} found")
        return int(digits)

    def flag(self) -> bool:
        """True or false."""
        word = self._scalar("true or false")
        if word not in ("true", "false"):
            raise self.error(f"true or false expected, {word} found")
        return word == "true"

    def day(self) -> date:
        """A date, 2028-06-30."""
        try:
            return date.fromisoformat(self._scalar("a date"))
        except ValueError as wrong:
            raise self.error(str(wrong)) from wrong

    def one_of(self, kind: type[E]) -> E:
        """One of the values of an enumeration."""
        word = self.text()
        for member in kind:
            if member.value == word:
                return member
        raise self.error(f"one of {', '.join(str(member.value) for member in kind)} expected, {word} found")

    def items(self) -> tuple[Value, ...]:
        """The values of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f"a list expected, {_KINDS.get(self._node.tag, self._node.tag)} found")
        return tuple(Value(self.file, f"{self.path}[{at}]", node) for at, node in enumerate(self._node.value))

    def texts(self) -> tuple[str, ...]:
        """A list of different texts."""
        texts: list[str] = []
        for item in self.items():
            if (text := item.text()) in texts:
                raise item.error(f"{text} is there twice")
            texts.append(text)
        return tuple(texts)

    def mapping(self) -> Mapping:
        """The keys and values of a mapping."""
        return Mapping(self, self._node)


class Mapping:
    """A mapping of the document, every key of which must be asked for."""

    def __init__(self, value: Value, node: yaml.Node) -> None:
        if not isinstance(node, yaml.MappingNode):
            raise value.error(f"a mapping expected, {_KINDS.get(node.tag, node.tag)} found")
        self._value = value
        self._values: dict[str, Value] = {}
        self._asked: set[str] = set()
        for key_node, value_node in node.value:
            key = Value(value.file, value.path, key_node).text()
            path = f"{value.path}.{key}" if value.path else key
            if key in self._values:
                raise Value(value.file, path, key_node).error("the key is there twice")
            self._values[key] = Value(value.file, path, value_node)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def error(self, cause: str) -> MatrixError:
        """The error to raise about the mapping as a whole."""
        return self._value.error(cause)

    def get(self, key: str) -> Value | None:
        """The value of a key that may be absent."""
        self._asked.add(key)
        return self._values.get(key)

    def __getitem__(self, key: str) -> Value:
        value = self.get(key)
        if value is None:
            raise self.error(f"the key '{key}' is missing")
        return value

    def text(self, key: str) -> str | None:
        """The text of a key that may be absent."""
        value = self.get(key)
        return value.text() if value else None

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a key that may be absent."""
        value = self.get(key)
        return value.texts() if value else ()

    def day(self, key: str) -> date | None:
        """The date of a key that may be absent."""
        value = self.get(key)
        return value.day() if value else None

    def items(self, key: str) -> tuple[Value, ...]:
        """The values of a list that may be absent."""
        value = self.get(key)
        return value.items() if value else ()

    def finish(self) -> None:
        """No key may be left that nobody asked for."""
        for key in self._values.keys() - self._asked:
            raise self._values[key].error(f"unknown key; known here: {', '.join(sorted(self._asked))}")


def read(text: str, file: str) -> Value:
    """The document in ``text``; ``file`` is its name in errors."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as wrong:
        raise MatrixError(f"{file}: not YAML: {wrong}") from wrong
    if node is None:
        raise MatrixError(f"{file}: empty")
    return Value(file, "", node)
