"""YAML and JSON text, parsed with care: a document that is safe to walk, and the line of every value in it.

Refused are other encodings than UTF-8, keys given twice, nesting deeper than `MAX_DEPTH`, tags that name Python types,
and aliases that would unfold to more than `MAX_VALUES` values. Dates stay text.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

import yaml

from conda_store.domain.specification import LARGEST_SPECIFICATION
from conda_store.errors import InvalidSpecification, Problem

MAX_DEPTH = 60
MAX_VALUES = 1_000_000
_PREFIX = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_PREFIX + name for name in ("null", "bool", "int", "float", "str", "seq", "map"))
_TEXT = _PREFIX + "str"
_MERGE = _PREFIX + "merge"
Path = tuple[str | int, ...]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe, quick where libyaml is there, and without dates."""

    yaml_implicit_resolvers: ClassVar[Any] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _PREFIX + "timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class Document:
    """A parsed text: `value` is made of dicts with text keys, lists, texts, numbers, booleans and None."""

    def __init__(self, text: str) -> None:
        """
        Raises:
            InvalidSpecification: `Unable to parse. Invalid YAML`, with what and where.
        """
        self._text = text
        self._root: yaml.Node | None = None
        self.value = self._read_json() if text.lstrip().startswith("{") else self._read_yaml()
        if "\\" in text:
            _check_characters(self.value)

    def line_of(self, path: Path) -> int | None:
        """The 1-based line where the value at a path begins, or that of the nearest one around it."""
        if self._root is None:
            try:
                self._read_yaml()
            except InvalidSpecification:
                return None
        node, line = self._root, None
        for part in (*path, None):
            if node is None:
                return line
            line = node.start_mark.line + 1
            if part is None:
                return line
            node, key_line = _child(node, part)
            line = key_line or line
        return line

    def with_lines(self, error: InvalidSpecification) -> InvalidSpecification:
        """The same error, every problem with its line."""
        problems = tuple(
            problem if problem.line else replace(problem, line=self.line_of(problem.path)) for problem in error.problems
        )
        return InvalidSpecification(problems, hint=error.hint)

    def _read_json(self) -> Any:
        try:
            return json.loads(self._text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        except json.JSONDecodeError:
            return self._read_yaml()  # a flow mapping of YAML
        except RecursionError:
            raise unparsable(f"The text is nested deeper than {MAX_DEPTH} levels", None) from None
        except ValueError as error:
            raise unparsable(str(error), None) from error

    def _read_yaml(self) -> Any:
        try:
            _check_events(self._text)
            self._root = yaml.compose(self._text, Loader=_Loader)
            if self._root is None:
                return None
            if "*" in self._text:
                _check_size(self._root)
            return _Constructor().value(self._root)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = ", ".join(part for part in (error.context, error.problem) if part)
            raise unparsable(_said(what), mark.line + 1 if mark else None, mark.column + 1 if mark else None) from error
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
            raise unparsable(f"The text holds a character that YAML does not allow ({error.reason})", line) from error
        except yaml.YAMLError as error:
            raise unparsable(str(error).splitlines()[0], None) from error
        except (RecursionError, MemoryError):
            raise unparsable("The text is nested too deeply", None) from None


def decoded(text: bytes) -> str:
    """
    Raises:
        InvalidSpecification: it is too long or not UTF-8.
    """
    if len(text) > LARGEST_SPECIFICATION:
        raise InvalidSpecification(
            f"The specification has {len(text):,} bytes, more than the {LARGEST_SPECIFICATION:,} that are accepted",
            hint="A specification lists what is wanted; hand in large files in another way.",
        )
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise unparsable(f"The text is not UTF-8: byte 0x{text[error.start]:02x}", line) from error


def unparsable(what: str, line: int | None, column: int | None = None) -> InvalidSpecification:
    """The error whose first line clients know; then what is wrong, and where."""
    where = f" (line {line}, column {column})" if line and column else f" (line {line})" if line else ""
    error = InvalidSpecification(f"Unable to parse. Invalid YAML\n{what}{where}")
    error.problems = (Problem(error.message, (), "yaml", line),)
    return error


def _said(problem: str) -> str:
    if "found character that cannot start any token" in problem:
        return f"{problem}: a tab cannot indent, and @ ` % cannot begin a value without quotes"
    return problem


def _check_events(text: str) -> None:
    """Depth, number of documents and of values are bounded before a tree is made of the text."""
    depth = documents = 0
    for values, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise unparsable(f"The text is nested deeper than {MAX_DEPTH} levels", _line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise unparsable("The text holds more than one document (`---`)", _line(event))
        if values > MAX_VALUES:
            raise unparsable(f"The text holds more than {MAX_VALUES:,} values", _line(event))


def _line(event: yaml.Event) -> int | None:
    return event.start_mark.line + 1 if event.start_mark else None


def _check_size(root: yaml.Node) -> None:
    """Aliases make the tree a graph: it must have no circle, and stay small when it is unfolded."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise unparsable("An alias (`*name`) leads back to itself", node.start_mark.line + 1)
        open_nodes.add(id(node))
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        total = 1 + sum(size(part) for part in parts)
        open_nodes.discard(id(node))
        if total > MAX_VALUES:
            raise unparsable("Aliases (`*name`) unfold to too many values", node.start_mark.line + 1)
        sizes[id(node)] = total
        return total

    size(root)


def _check_characters(value: Any) -> None:
    """Escapes can name what no file or database takes: half of a surrogate pair, or NUL."""
    written = json.dumps(value, ensure_ascii=False)
    if "\\u0000" in written or any("\ud800" <= character <= "\udfff" for character in written):
        raise unparsable("The text names NUL or half a character (`\\u0000`, `\\ud800`)", None)


class _Constructor:
    """Values out of nodes, each mapping's keys checked."""

    def __init__(self) -> None:
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node) -> Any:
        if node.tag == _TEXT:
            return node.value
        line = node.start_mark.line + 1
        if node.tag not in _PLAIN_TAGS:
            raise unparsable(f"The tag {node.tag!r} is not accepted", line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        try:
            return self._scalars.construct_object(node)
        except ValueError as error:
            raise unparsable(f"{node.value[:40]!r} cannot be read as a number", line) from error

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in reversed(sources):
                    merged |= self._merge_source(source)
                continue
            key = self._key(key_node)
            if key in own:
                raise unparsable(f"The key {key!r} is given twice", key_node.start_mark.line + 1)
            own[key] = self.value(value_node)
        return {**merged, **own}

    def _merge_source(self, node: yaml.Node) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise unparsable("Only a mapping can be merged with `<<`", node.start_mark.line + 1)
        return self._mapping(node)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise unparsable("A key must be text", node.start_mark.line + 1)
        return str(node.value)


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node | None, int | None]:
    """The node below, and the line of its key."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value == str(part):
                return value_node, key_node.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], None
    return None, None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"The key {key!r} is given twice")
        result[key] = value
    return result


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no value of JSON")
