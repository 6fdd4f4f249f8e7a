"""The laws of the README and the tests that prove them, for docs/guarantees.md. Reads the tests' marks; runs none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.documents.blocks import ROOT

_LAW = re.compile(r"^(?P<number>\d+)\. \*\*(?P<name>[^*]+)\.\*\* (?P<sentence>.+)$", re.MULTILINE)


def laws() -> str:
    """Each law, as the README and as the law book say it, with the tests that carry its mark: a sentence a test."""
    proofs = dict[int, dict[str, list[str]]]()
    for number, file, name in sorted(
        marked(), key=lambda each: (not each[1].startswith("tests/laws/"), *each)
    ):
        proofs.setdefault(number, {}).setdefault(file, []).append(name)
    parts = []
    for law in _LAW.finditer((ROOT / "README.md").read_text(encoding="utf-8")):
        number = int(law["number"])
        parts.append(f"### {number}. {law['name']}\n\n{law['sentence']}\n\n{_text(number)}")
        for file, names in proofs.get(number, {}).items():
            parts.append(f"* [{file.removeprefix('tests/')}](../{file}): {'; '.join(names)}\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def _text(number: int) -> str:
    """The law in full, as the law book says it: the docstring of its file without the title."""
    for path in (ROOT / "tests" / "laws").glob(f"test_law_{number:02}_*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        return (
            "".join(f"> {line}".rstrip() + "\n" for line in docstring.partition("\n\n")[2].splitlines())
            + "\n"
        )
    return ""


def marked() -> Iterator[tuple[int, str, str]]:
    """(law, file, sentence) of each test that a mark `law(n)` stands at, or in whose file it stands for all."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        of_file = {law for node in tree.body if _is_pytestmark(node) for law in _laws_in(node)}
        for node in tree.body:
            tests = node.body if isinstance(node, ast.ClassDef) else [node]
            of_class = {law for each in getattr(node, "decorator_list", ()) for law in _laws_in(each)}
            for test in tests:
                if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                    own = {law for each in test.decorator_list for law in _laws_in(each)}
                    for law in of_file | of_class | own:
                        yield law, file, test.name.removeprefix("test_").replace("_", " ")


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(each, ast.Name) and each.id == "pytestmark" for each in node.targets
    )


def _laws_in(node: ast.AST) -> set[int]:
    return {
        argument.value
        for each in ast.walk(node)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "law"
        for argument in each.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    }
