"""A mutant put into effect in this process: its code, its module or its SQL in the place of the right one."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from tests.mutants.mutant import Kind, Mutant
from tests.mutants.postgres import replace_functions
from tests.mutants.room import ROOT
from tests.mutants.statements import QUERY


def module_name(file: str) -> str:
    """Return the dotted name of a module."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def patch(mutant: Mutant) -> None:
    """Put a mutant into effect in modules that are imported; of a class only its methods can be."""
    source = mutant.apply((ROOT / mutant.file).read_text("utf-8"))
    if mutant.kind is Kind.STATEMENT:
        _patch_statements(mutant.file, source)
    elif mutant.kind is Kind.FUNCTION:
        _patch_function(sys.modules[module_name(mutant.file)], mutant.where, source)
    else:
        _patch_constant(sys.modules[module_name(mutant.file)], mutant.lines[0], source)


def _patch_function(module: ModuleType, name: str, source: str) -> None:
    code = _find_code(compile(source, module.__file__ or "", "exec"), name)
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
    _unwrap(found).__code__ = code


def _patch_constant(module: ModuleType, line: int, source: str) -> None:
    """Assign anew what is assigned in a line, here and where it was imported from here."""
    before = dict(vars(module))
    exec(compile(_take_assignment(source, line), module.__file__ or "", "exec"), vars(module))
    changed = {name: value for name, value in vars(module).items() if before.get(name) is not value}
    for other in list(sys.modules.values()):
        for name, value in changed.items():
            if name in before and vars(other).get(name) is before[name]:
                setattr(other, name, value)


def is_assignment(mutant: Mutant) -> bool:
    """Return whether a mutant changes what a name at the top of a module stands for."""
    if mutant.kind is not Kind.MODULE or mutant.where:
        return False
    statements = _take_assignment((ROOT / mutant.file).read_text("utf-8"), mutant.lines[0]).body
    return bool(statements) and all(isinstance(each, ast.Assign | ast.AnnAssign) for each in statements)


def _take_assignment(source: str, line: int) -> ast.Module:
    tree = ast.parse(source)
    tree.body = [each for each in tree.body if each.lineno <= line <= (each.end_lineno or 0)]
    return tree


def _unwrap(found: Any) -> Any:
    """Return the function behind a property, a class method or a decorator that keeps it."""
    for name in ("fget", "__func__", "__wrapped__"):
        found = getattr(found, name, found)
    return found


def _find_code(code: CodeType, name: str) -> CodeType:
    (found,) = (each for each in _codes(code) if each.co_qualname == name)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _patch_statements(file: str, source: str) -> None:
    if not QUERY.search(source):
        replace_functions(source)
        return
    before, after = _split((ROOT / file).read_text("utf-8")), _split(source)
    for module, queries in query_tables():
        for name in before:
            if name in queries and before[name] != after[name]:
                columns = getattr(module, "COLUMNS", "")
                if queries[name] == before[name].replace("{columns}", columns):
                    queries[name] = after[name].replace("{columns}", columns)


def _split(text: str) -> Mapping[str, str]:
    _head, *parts = QUERY.split(text)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


def query_tables() -> Iterator[tuple[ModuleType, dict[str, str]]]:
    """Yield the tables of queries that the imported modules hold, once for each module."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith("vavasms."):
            for key in ("SQL", "JOBS"):
                if isinstance(vars(module).get(key), dict):
                    yield module, vars(module)[key]


def restore(mutant: Mutant) -> None:
    """Undo what a mutant changed outside its process."""
    if is_migration(mutant):
        replace_functions((ROOT / mutant.file).read_text("utf-8"))


def is_migration(mutant: Mutant) -> bool:
    """Return whether a mutant is one of a function in the database."""
    return mutant.kind is Kind.STATEMENT and not QUERY.search((ROOT / mutant.file).read_text("utf-8"))


class MutantFinder(MetaPathFinder):
    """The finder of one module as a mutant has it."""

    def __init__(self, mutant: Mutant) -> None:
        source = mutant.apply((ROOT / mutant.file).read_text("utf-8"))
        self._loader = _MutantLoader(module_name(mutant.file), str(ROOT / mutant.file), source)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._loader.name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        spec.loader = self._loader
        return spec


class _MutantLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, str(self.path), "exec")
