"""How the modules may hang together, where import-linter looks away."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

import vavasms

ROOT = Path(vavasms.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("vavasms", include_external_packages=True, cache_dir=None)


def test_no_module_imports_a_package_it_lies_in(graph: grimp.ImportGraph) -> None:
    # A package that re-exports its modules is imported by none of them: that is a circle.
    own = {module for module in graph.modules if module.split(".")[0] == "vavasms"}
    upward = {
        (module, imported)
        for module in own
        for imported in graph.find_modules_directly_imported_by(module)
        if module.startswith(f"{imported}.")
    }
    assert upward == set()


def test_there_is_no_circle(graph: grimp.ImportGraph) -> None:
    own = sorted(module for module in graph.modules if module.split(".")[0] == "vavasms")
    circles = [
        module
        for module in own
        if any(
            module in graph.find_upstream_modules(other)
            for other in graph.find_modules_directly_imported_by(module)
            if other in own
        )
    ]
    assert circles == []


@pytest.mark.parametrize("package", ["httpx", "httpcore", "h11"])
def test_only_the_thin_edge_knows_the_http_library(graph: grimp.ImportGraph, package: str) -> None:
    importers = graph.find_modules_that_directly_import(package)
    assert importers
    assert importers <= {"vavasms.transport.http", "vavasms.transport.connection"}


def test_cattrs_has_one_home(graph: grimp.ImportGraph) -> None:
    assert graph.find_modules_that_directly_import("cattrs") == {"vavasms.wire.converter"}


@pytest.mark.parametrize(
    "module",
    [
        "vavasms.wire",
        "vavasms.transport.outcome",
        "vavasms.errors",
        "vavasms.models",
        "vavasms.inbound.parse",
        "vavasms.config",
    ],
)
def test_the_protocol_does_no_io(graph: grimp.ImportGraph, module: str) -> None:
    modules = {module} | graph.find_descendants(module)
    reached = {name for module in modules for name in graph.find_upstream_modules(module)}
    assert not reached & {
        "anyio",
        "asyncio",
        "httpx",
        "socket",
        "ssl",
        "trio",
        "sqlite3",
        "subprocess",
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_import_is_for_type_checkers_only(path: Path) -> None:
    # A circle hidden from the runtime is a circle.
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert "TYPE_CHECKING" not in names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))
