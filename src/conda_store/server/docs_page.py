"""`/docs`: the routes, read from `openapi.json`, as a page that loads nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b;
  background: #fff; }
h2 { margin-top: 2.5rem; text-transform: capitalize; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; color: #0b5345; }
p { margin: .25rem 0; white-space: pre-line; }
dl { margin: .25rem 0 0 1rem; } dd { margin-left: 1.5rem; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>conda-store API</title>
<style>{style}</style>
<main>
<h1>conda-store API {version}</h1>
<p>The same for programs: <a href="{openapi}">openapi.json</a>.</p>
{body}
</main>
</html>
"""


def docs_page(document: Mapping[str, Any], openapi_url: str) -> str:
    """The page for an OpenAPI document."""
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_operation(method.upper(), path, operation))
    body = "\n".join(f"<h2>{html.escape(tag)}</h2>\n" + "\n".join(items) for tag, items in groups.items())
    version = html.escape(document["info"]["version"])
    return _PAGE.format(style=_STYLE, version=version, openapi=html.escape(openapi_url), body=body)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    lines = [f'<h3><span class="method">{method}</span> <code>{html.escape(path)}</code></h3>']
    if operation.get("deprecated"):
        lines.append("<p><em>deprecated</em></p>")
    if operation.get("description"):
        lines.append(f"<p>{html.escape(operation['description'])}</p>")
    parameters = [item for item in operation.get("parameters", []) if item["in"] == "query"]
    if parameters:
        lines.append("<dl>")
        for item in parameters:
            lines.append(f"<dt><code>{html.escape(item['name'])}</code></dt>")
            lines.append(f"<dd>{html.escape(item.get('description', ''))}</dd>")
        lines.append("</dl>")
    return "\n".join(lines)
