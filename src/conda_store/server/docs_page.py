"""`/docs`: the routes, read from `openapi.json`, as a page that loads nothing from anywhere else."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from conda_store.server.web.shown import ticked

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>REST API · conda-store</title>
<link rel="stylesheet" href="{style}">
<body>
<header class="top"><nav aria-label="Main"><a class="brand" href="{home}">conda-store</a></nav></header>
<main>
<article class="prose">
<h1>REST API of conda-store {version}</h1>
<p>The same for programs: <a href="{openapi}">openapi.json</a>.</p>
{body}
</article>
</main>
</html>
"""


def docs_page(document: Mapping[str, Any], openapi_url: str, *, style: str, home: str) -> str:
    """The page for an OpenAPI document; `style` and `home` are the paths of the style sheet and of the first page."""
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_operation(method.upper(), path, operation))
    body = "\n".join(f"<h2>{html.escape(tag.capitalize())}</h2>\n" + "\n".join(items) for tag, items in groups.items())
    version = html.escape(document["info"]["version"])
    return _PAGE.format(
        style=html.escape(style), home=html.escape(home), version=version, openapi=html.escape(openapi_url), body=body
    )


def _text(written: str) -> str:
    """What stands between backticks as code; lines that were broken to be written are one again."""
    return ticked(re.sub(r"(?<!\n)\n(?=\w)", " ", written))


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    lines = [f'<h3 class="route"><span class="method">{method}</span> <code>{html.escape(path)}</code></h3>']
    if operation.get("deprecated"):
        lines.append("<p><em>deprecated</em></p>")
    if operation.get("description"):
        lines.append(f'<p class="described">{_text(operation["description"])}</p>')
    parameters = [item for item in operation.get("parameters", []) if item["in"] == "query"]
    if parameters:
        lines.append("<dl>")
        for item in parameters:
            lines.append(f"<dt><code>{html.escape(item['name'])}</code></dt>")
            lines.append(f"<dd>{_text(item.get('description', ''))}</dd>")
        lines.append("</dl>")
    return "\n".join(lines)
