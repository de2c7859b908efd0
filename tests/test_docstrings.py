"""Every public method says what it does, but those that every stage has, and those of one obvious line."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEED_NONE = {"state", "restore", "close"}


def test_public_methods_say_what_they_do() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{method.lineno} {class_.name}.{method.name}"
        for package in ("foundation", "reid", "tracker", "benchmarks")
        for path in sorted((ROOT / package).rglob("*.py"))
        for class_ in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(class_, ast.ClassDef) and not class_.name.startswith("_")
        for method in class_.body
        if isinstance(method, ast.FunctionDef)
        and not method.name.startswith("_")
        and method.name not in NEED_NONE
        and len(method.body) > 1
        and ast.get_docstring(method) is None
    ]
    assert not silent
