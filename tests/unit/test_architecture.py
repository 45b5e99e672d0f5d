"""Who may import whom: the layers of ARCHITECTURE.md, as a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import fastflow

PACKAGE = Path(fastflow.__file__).parent

#: From the bottom to the top: a module imports from lines above its own, and within its
#: own package. Packages stand for all of their modules.
LAYERS = (
    ("_version", "errors", "addresses", "native_types", "phases", "caches"),
    ("zones", "names", "data", "knowledge", "complete_file"),
    ("units",),
    ("schema", "arena", "filter_text", "tools"),
    ("filters",),
    ("sources",),
    ("outcome", "row_text"),
    ("reader",),
    ("split",),
    ("packets",),
    ("row_files",),
    ("tables",),
    ("stages",),
    ("holders",),
    ("synth",),
    ("identity",),
    ("store",),
    ("counting", "pool", "reduce_report"),
    ("pipeline",),
    ("analysis",),
    ("contacts",),
    ("charts",),
    ("report",),
    ("cli",),
    ("__main__",),
)

#: Upward imports that wait until they are needed, and why they are there.
EXCEPTIONS = {
    ("packets", "stages"): "a scan that is asked for `country` calls that stage",
    (
        "store",
        "analysis",
    ): "Store.top(), trend() ... are conveniences of the public surface",
    ("store", "report"): "Store.report() is another",
}

#: Compiled modules, and the only modules that import them.
DOORS = {
    "_core": {"schema", "outcome", "reader", "packets", "stages.rows"},
    "_tally": {"stages.rows", "stages.spill", "stages.tally"},
    "_rollup": {"stages.echoes", "stages.rows"},
    "_lpm": {"stages.country"},
    "_bpf": {"filters"},
    "_tool": {"tools"},
    "_series": {
        "analysis.events.baseline",
        "analysis.events.series",
        "analysis.events.surges",
    },
    "_synth": {"synth.load"},
    "_sums": {"analysis.events.codes", "analysis.events.rollup"},
}

#: All that a command may import before it is called: Arrow costs a tenth of a second.
LIGHT = {"_version", "errors", "cli"}


@dataclass(frozen=True)
class Import:
    """One import of one of fastflow's own modules; names without `fastflow.`."""

    by: str
    of: str
    is_lazy: bool

    def __str__(self) -> str:
        return f"{self.by} imports {self.of}"


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[Import]:
    """Yield what happens when the program runs, not what only a type checker sees."""
    by = module_name(path)

    def walk(node: ast.AST, is_lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{by}: relative import"
                if child.module == "fastflow":
                    for name in child.names:
                        yield Import(by, name.name, is_lazy)
                elif child.module and child.module.startswith("fastflow."):
                    yield Import(by, child.module.removeprefix("fastflow."), is_lazy)
            elif isinstance(child, ast.Import):
                for name in child.names:
                    assert name.name.partition(".")[0] != "fastflow", (
                        f"{by}: write `from fastflow... import`"
                    )
            else:
                is_function = isinstance(child, ast.FunctionDef | ast.Lambda)
                yield from walk(child, is_lazy or is_function)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), is_lazy=False)


@cache
def all_imports() -> tuple[Import, ...]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return tuple(found for path in paths for found in imports_of(path))


def top_of(module: str) -> str:
    return module.partition(".")[0]


def layer(module: str) -> int:
    for number, names in enumerate(LAYERS):
        if top_of(module) in names:
            return number
    pytest.fail(f"{module} stands in no layer; give it a place in LAYERS")


def test_every_module_has_a_layer() -> None:
    for path in PACKAGE.rglob("*.py"):
        if module := module_name(path):
            layer(module)


def test_imports_go_downwards() -> None:
    wrong = [
        str(found)
        for found in all_imports()
        if found.by
        and found.of not in DOORS
        and top_of(found.by) != top_of(found.of)
        and layer(found.of) >= layer(found.by)
        and not (found.is_lazy and (top_of(found.by), top_of(found.of)) in EXCEPTIONS)
    ]
    assert wrong == []


def test_every_exception_is_needed() -> None:
    found = {(top_of(one.by), top_of(one.of)) for one in all_imports() if one.is_lazy}
    assert set(EXCEPTIONS) <= found


def test_compiled_modules_have_few_doors() -> None:
    found = {
        door: {one.by for one in all_imports() if one.of == door} for door in DOORS
    }
    assert found == DOORS


def test_the_package_itself_imports_almost_nothing() -> None:
    found = {one.of for one in all_imports() if one.by == ""}
    assert found == {"_version", "errors"}


def test_commands_load_heavy_modules_only_when_called() -> None:
    wrong = [
        str(found)
        for found in all_imports()
        if top_of(found.by) == "cli"
        and not found.is_lazy
        and top_of(found.of) not in LIGHT
    ]
    assert wrong == []


def test_errors_import_nothing_of_fastflow() -> None:
    """The compiled modules import them while the package is still being imported."""
    assert [str(one) for one in all_imports() if one.by == "errors"] == []
