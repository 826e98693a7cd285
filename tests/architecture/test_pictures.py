"""Every page has its pictures: a new one without any is noticed here."""

from __future__ import annotations

from fastapi.routing import APIRoute

from conda_store.server.web import authorize, former_paths, login, pages
from tests.browser.screenshots import ANONYMOUS, IMAGES, NAMES, SCHEMES, SIZES, VIEWER
from tests.browser.screenshots import pages as of_admins

# what leads elsewhere, and parts of pages that scripts ask for
NO_PAGES = {
    "/environment/",
    "/environment/{namespace}/",
    "/environment/{namespace}/{name}/edit/",
    "/environment/{namespace}/{name}/use/",
    "/create/policy/",
    "/create/packages/",
    "/create/newer/",
    "/oauth_callback/",
    "/login/authorize/",
    *(route.path for route in former_paths.router.routes if isinstance(route, APIRoute)),
}
# looks as another that is shown
ALIKE = {
    "/build/{build_id}/delete/": "delete",
    "/namespace/{name}/delete/": "delete",
    "/setting/": "settings",
    "/setting/{namespace}/{name}/": "settings",
    "/login/device/": "device",
}


def test_every_page_is_in_the_pictures() -> None:
    shown = {**of_admins(dict.fromkeys(("science", "failed", "waiting"), 1)), **ANONYMOUS, **VIEWER}
    paths = [path.partition("?")[0] for path in shown.values()]
    routers = (*pages.ROUTERS, login.router, authorize.router)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    to_look_at = {route.path: route for route in routes if "GET" in (route.methods or ())}
    assert set(to_look_at) >= NO_PAGES
    assert set(ALIKE) <= set(to_look_at)
    assert set(ALIKE.values()) <= set(NAMES)
    missing = [
        path
        for path, route in to_look_at.items()
        if path not in NO_PAGES | set(ALIKE) and not any(route.path_regex.match(shown) for shown in paths)
    ]
    assert missing == []


def test_every_picture_has_been_taken() -> None:
    wanted = {f"{name}-{scheme}-{size}.webp" for name in NAMES for scheme in SCHEMES for size in SIZES}
    assert {path.name for path in IMAGES.glob("*.webp")} == wanted
