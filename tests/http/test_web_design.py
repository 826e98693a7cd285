"""`/design/` shows every component: each macro that several pages share, and each class of the style sheet."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import jinja2
from jinja2 import nodes

from conda_store.server import web

DIRECTORY = Path(web.__file__).parent
TEMPLATES = DIRECTORY / "templates"
# what htmx sets while it waits for an answer
OF_SCRIPTS = {"htmx-request"}

Tree = nodes.Template


def trees() -> dict[str, Tree]:
    environment = jinja2.Environment(autoescape=True)
    return {path.name: environment.parse(path.read_text()) for path in TEMPLATES.glob("*.html")}


def shared(found: dict[str, Tree]) -> set[tuple[str, str]]:
    """The macros of templates that others import, by template and name."""
    imported = {
        node.template.value
        for tree in found.values()
        for node in tree.find_all((nodes.Import, nodes.FromImport))
        if isinstance(node.template, nodes.Const)
    }
    return {(name, macro.name) for name in imported for macro in found[name].find_all(nodes.Macro)}


def called(found: dict[str, Tree], template: str, inside: nodes.Node | None = None) -> set[tuple[str, str]]:
    """The macros that a template, or a macro in it, calls, and those that these call."""
    tree = found[template]
    modules = {node.target: str(node.template.value) for node in tree.find_all(nodes.Import)}  # type: ignore[attr-defined]
    names = {macro.name: template for macro in tree.find_all(nodes.Macro)}
    for node in tree.find_all(nodes.FromImport):
        names |= {str(name): str(node.template.value) for name in node.names}  # type: ignore[attr-defined]
    calls = set()
    for call in (inside or tree).find_all(nodes.Call):
        match call.node:
            case nodes.Getattr(node=nodes.Name(name=module), attr=attribute) if module in modules:
                calls.add((modules[module], attribute))
            case nodes.Name(name=name) if name in names:
                calls.add((names[name], name))
    for origin, name in set(calls):
        macro = next(macro for macro in found[origin].find_all(nodes.Macro) if macro.name == name)
        if macro is not inside:
            calls |= called(found, origin, macro)
    return calls


def test_every_macro_that_pages_share_has_an_example() -> None:
    found = trees()
    wanted = shared(found)
    assert {("parts.html", "held"), ("charts.html", "disk"), ("credentials.html", "form")} <= wanted
    assert wanted - called(found, "design.html") == set()


def test_every_class_of_the_style_sheet_has_an_example(anonymous: httpx.Client) -> None:
    sheet = (DIRECTORY / "static" / "conda-store.css").read_text()
    rules = re.sub(r"/\*.*?\*/|\{[^{}]*\}", " ", sheet, flags=re.DOTALL)
    styled = set(re.findall(r"\.([a-z][a-z-]*)", rules)) - OF_SCRIPTS
    assert {"card", "acts", "gutter"} <= styled
    page = anonymous.get("/design/")
    assert page.status_code == 200
    shown = {name for value in re.findall(r'class="([^"]*)"', page.text) for name in value.split()}
    assert styled - shown == set()
    assert len(page.content) < 60_000
