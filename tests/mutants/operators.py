"""The mutants of a Python module.

The operators are mutmut's, and those that it has not: a condition negated, one of several dropped, a
statement left out, an entry of a table left out, another member of an enum. mutmut itself changes functions
only; here tables, properties and class bodies are changed as well, since the outcome table and the states are
such.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tests.mutants.mutant import Kind, Mutant, describe

#: The members of each enum of the package, by its name.
Enums = Mapping[str, Sequence[str]]

#: A sentence for people, and what is written to the log: no test compares them to the letter.
_MESSAGES = m.Call(func=m.Name("_") | m.Name("N_") | m.Name("gettext") | m.Name("ngettext"))
_LOGGED = m.Call(func=m.Attribute(value=m.Name("logger")))
#: What is for the type checker or for the reader alone.
_TYPES = m.Call(func=m.Name("TypeVar") | m.Name("cast"))
_SKIPPED = (
    m.Annotation()
    | m.Decorator()
    | m.Assert()
    | m.Import()
    | m.ImportFrom()
    | m.SimpleStatementLine(body=[m.Expr(m.SimpleString() | m.ConcatenatedString())])
    | _MESSAGES
    | _LOGGED
    | _TYPES
    | m.SimpleStatementLine(
        trailing_whitespace=m.TrailingWhitespace(comment=m.Comment(m.MatchRegex(".*no cover")))
    )
)
_NEGATED_ELSEWHERE = (
    m.UnaryOperation(operator=m.Not())
    | m.BooleanOperation()
    | m.Comparison(
        comparisons=[
            m.ComparisonTarget(operator=m.Is() | m.IsNot() | m.Equal() | m.NotEqual() | m.In() | m.NotIn())
        ]
    )
)


def find_enums(package: Path) -> dict[str, list[str]]:
    """Return the members of every enum of a package."""
    return {
        node.name: [
            target.id for line in node.body if isinstance(line, ast.Assign) for target in _names(line)
        ]
        for path in sorted(package.rglob("*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Enum") for base in node.bases)
    }


def _names(line: ast.Assign) -> list[ast.Name]:
    return [target for target in line.targets if isinstance(target, ast.Name)]


def find_mutants(file: str, source: str, enums: Enums) -> list[Mutant]:
    """Return the mutants of a module."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    finder = _Finder(file, source, enums, wrapper.module)
    wrapper.visit(finder)
    return finder.mutants


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, file: str, source: str, enums: Enums, module: cst.Module) -> None:
        self.mutants: list[Mutant] = []
        self._file, self._source, self._enums, self._module = file, source, enums, module
        self._line_starts = [0]
        for line in source.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._scopes: list[cst.ClassDef | cst.FunctionDef] = []
        #: The parameters of a function stand outside it.
        self._signatures = 0
        self._seen: set[tuple[int, int, str]] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, _SKIPPED):
            return False
        if isinstance(node, cst.ClassDef | cst.FunctionDef):
            self._scopes.append(node)
        elif isinstance(node, cst.Parameters) and self._is_outermost(node):
            self._signatures += 1
        for changed, mutated in self._mutate(node):
            self._keep(changed, mutated)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self._scopes and original_node is self._scopes[-1]:
            self._scopes.pop()
        elif isinstance(original_node, cst.Parameters) and self._is_outermost(original_node):
            self._signatures -= 1

    def _is_outermost(self, node: cst.Parameters) -> bool:
        functions = [scope for scope in self._scopes if isinstance(scope, cst.FunctionDef)]
        return len(functions) == 1 and functions[0].params is node

    def _mutate(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                yield from ((node, mutated) for mutated in operator(node) if _is_worth(node, mutated))
        yield from _negate(node)
        yield from _drop_part(node, at_top=not any(isinstance(s, cst.FunctionDef) for s in self._scopes))
        match node:
            case cst.Attribute(value=cst.Name(value=name)) if node.attr.value in self._enums.get(name, ()):
                members = self._enums[name]
                other = members[(members.index(node.attr.value) + 1) % len(members)]
                yield node, node.with_changes(attr=cst.Name(other))

    def _keep(self, node: cst.CSTNode, mutated: cst.CSTNode) -> None:
        position = self.get_metadata(PositionProvider, node)
        if getattr(node, "lpar", ()) and getattr(mutated, "lpar", ()):
            # A position is what stands between the parentheses.
            mutated = mutated.with_changes(lpar=[], rpar=[])
        start = self._line_starts[position.start.line - 1] + position.start.column
        end = self._line_starts[position.end.line - 1] + position.end.column
        text = self._module.code_for_node(mutated)
        key = (start, end, text)
        if key in self._seen or not _compiles(self._source[:start] + text + self._source[end:]):
            return
        self._seen.add(key)
        kind, where, function_lines = self._place()
        lines, before, after = describe(self._source, start, end, text)
        if before != after:
            self.mutants.append(
                Mutant(
                    kind=kind,
                    file=self._file,
                    where=where,
                    lines=lines,
                    function_lines=function_lines,
                    start=start,
                    end=end,
                    text=text,
                    before=before,
                    after=after,
                )
            )

    def _place(self) -> tuple[Kind, str, tuple[int, int]]:
        names: list[str] = []
        for scope in self._scopes:
            names.append(scope.name.value)
            if isinstance(scope, cst.FunctionDef) and not self._signatures:
                position = self.get_metadata(PositionProvider, scope)
                return Kind.FUNCTION, ".".join(names), (position.start.line, position.end.line)
        return Kind.MODULE, ".".join(names), (0, 0)


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _is_worth(node: cst.CSTNode, mutated: cst.CSTNode) -> bool:
    """Return whether mutmut's change is none of a message, and none that another one stands for."""
    if isinstance(node, cst.SimpleString) and isinstance(mutated, cst.SimpleString):
        # Of the three changes of a text one is enough.
        return "XX" in mutated.value
    if isinstance(node, cst.Assign | cst.AnnAssign):
        return node.value is None or not m.matches(node.value, _MESSAGES)
    if isinstance(node, cst.Call) and isinstance(mutated, cst.Call):
        return _is_worth_call(node, mutated)
    return True


def _is_worth_call(node: cst.Call, mutated: cst.Call) -> bool:
    changed = [arg for arg in node.args if arg not in mutated.args]
    if len(changed) != 1:
        return True
    (arg,) = changed
    if m.matches(arg.value, _MESSAGES):
        return False
    # A positional argument becomes None: without it nearly every call fails. A named one goes: its default counts.
    is_dropped = len(mutated.args) < len(node.args)
    is_named = arg.keyword is not None or arg.star != ""
    return is_dropped == (is_named and len(node.args) > 1)


def _negate(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Yield a bare condition and its opposite."""
    match node:
        case cst.If(test=test) | cst.While(test=test) | cst.CompIf(test=test):
            if not m.matches(test, _NEGATED_ELSEWHERE):
                inner = test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
                yield test, cst.UnaryOperation(operator=cst.Not(), expression=inner)


def _drop_part(node: cst.CSTNode, *, at_top: bool) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Yield what can be left out: a condition beside another, a statement, one of several values or types."""
    match node:
        case cst.BooleanOperation(left=left, right=right):
            yield node, left
            yield node, right
        case cst.Expr(value=cst.Call() | cst.Await(expression=cst.Call())) | cst.Raise(exc=None):
            yield node, cst.Pass()
        case cst.Set() | cst.ExceptHandler(type=cst.Tuple()) | cst.ComparisonTarget(comparator=cst.Tuple()):
            yield from _drop_each(_several(node))
        case cst.Assign(value=cst.Tuple() as several) | cst.AnnAssign(value=cst.Tuple() as several) if at_top:
            yield from _drop_each(several)
        case cst.Dict() if at_top:
            yield from _drop_each(node)


def _several(node: cst.CSTNode) -> cst.CSTNode:
    match node:
        case (
            cst.ExceptHandler(type=cst.Tuple() as several)
            | cst.ComparisonTarget(comparator=cst.Tuple() as several)
        ):
            return several
    return node


def _drop_each(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    assert isinstance(node, cst.Set | cst.Dict | cst.Tuple)
    several = node.elements
    if len(several) > 1:
        for index in range(len(several)):
            yield node, node.with_changes(elements=[*several[:index], *several[index + 1 :]])
