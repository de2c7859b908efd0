"""The page's files: small, whole, and without anything that its Content-Security-Policy forbids."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[1] / "tracker" / "live" / "static"
MODULES = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js"))}

MAX_BYTES = 300_000
"""Of the whole page, uncompressed: what a phone fetches once."""

IMPORT = re.compile(r'import \{([^}]*)\} from "\./([\w.]+)";')
EXPORT = re.compile(r"^export (?:async )?(?:const|class|function) (\w+)", re.MULTILINE)
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|cssText"
)


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < MAX_BYTES


def test_there_is_no_script_or_style_in_the_html() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "<style" not in html
    assert not re.search(r"\s(style|on\w+)=", html)
    assert all('src="' in tag for tag in re.findall(r"<script[^>]*>", html))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_writes_no_html_and_its_imports_are_there_and_used(name: str) -> None:
    assert not FORBIDDEN.search(MODULES[name])
    for names, source in IMPORT.findall(MODULES[name]):
        imported = {it.strip() for it in names.split(",") if it.strip()}
        assert imported <= set(EXPORT.findall(MODULES[source])), f"{name} from {source}"
        for it in imported:
            assert len(re.findall(rf"\b{it}\b", MODULES[name])) > 1, f"{name}: {it} is not used"


def test_every_text_is_there_and_is_said() -> None:
    said = set().union(*(re.findall(r"\bT\.(\w+)", text) for text in MODULES.values()))
    texts = MODULES["texts.js"]
    there = set(re.findall(r"^  (\w+):", texts[texts.index("export const T") :], re.MULTILINE))
    assert said == there


def test_every_class_has_a_look() -> None:
    """A class that no rule knows is a slip of the pen."""
    rules = set(re.findall(r"\.([a-z][\w-]*)", (STATIC / "app.css").read_text(encoding="utf-8")))
    for name, text in MODULES.items():
        for classes in re.findall(r'\bclass: "([\w -]+)"', text):
            assert set(classes.split()) <= rules | MARKS, name


MARKS = {"zone-counts", "line-counts"}
"""Classes without a look, by which programs find a part of the page."""
