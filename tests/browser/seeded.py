"""A service with something to look at: environments in all states, long names, a build that runs."""

from __future__ import annotations

from conda_store.auth.providers.base import AuthenticationToken
from conda_store.services.logins import log_in
from tests.http.service import Service

DESCRIPTIONS = {
    "science": "Numbers, tables and plots for the whole team.",
    "vision": "Training and inference on images, with the drivers of our machines.",
    "web": "What the web shop runs on.",
}
LONG_NAME = "forecasts-of-demand-by-region-and-quarter-with-everything-that-the-notebooks-of-the-team-need"
SCIENCE = (
    "python=3.12",
    "numpy=2.3",
    "pandas=2.3",
    "matplotlib=3.10",
    "scipy=1.16",
    "jupyterlab=4.4",
    "ipykernel=6.30",
)


def seed(service: Service) -> dict[str, int]:
    """The ids of some builds, by what they are."""
    ids: dict[str, int] = {}
    service.build("analytics", "science", *SCIENCE)
    ids["science"] = service.build(
        "analytics", "science", "python=3.13", "numpy=2.4", "pandas=2.3", "polars=1.35", "scipy=1.16", "ipykernel=6.30"
    )
    ids["failed"] = service.build("analytics", "geo", "python=3.13", "gdal=3.11", "missing-projection", "missing-tiles")
    service.build("analytics", "reports", "python=3.12", "jinja2=3.1", "weasyprint=66")
    service.build("research", "vision", "python=3.12", "pytorch=2.4", "torchvision=0.19", "opencv=4.11")
    service.build("research", "genomics", "python=3.11", "biopython=1.85", "samtools=1.22")
    service.build("default", "web", "python=3.13", "django=5.2", "psycopg=3.2")
    service.build("research", LONG_NAME, "python=3.12", "statsmodels=0.14")
    for (namespace, name), text in {
        ("analytics", "science"): DESCRIPTIONS["science"],
        ("research", "vision"): DESCRIPTIONS["vision"],
        ("default", "web"): DESCRIPTIONS["web"],
    }.items():
        with service.client("admin") as client:
            path = f"/api/v1/environment/{namespace}/{name}/"
            assert client.put(path, json={"description": text}).status_code == 200
    _give_access(service)
    for name in ("ada", "grace"):
        token, _ = log_in(service.context, service.options.access, AuthenticationToken(name))
        with service.client(token) as client:
            assert client.post("/api/v1/token/", json={"name": f"notebooks of {name}"}).status_code == 200
    ids["waiting"] = service.submit("research", "climate", "python=3.13", "xarray=2025.9", "dask=2025.9")
    return ids


def _give_access(service: Service) -> None:
    """Shares, links, tokens, quotas, rules, a credential, and something that was refused."""
    with service.client("admin") as client:
        share = "/api/v1/share/analytics/"
        for path, kind, name, role in (
            (f"{share}science/", "user", "ada", "viewer"),
            (f"{share}science/", "group", "physics", "developer"),
            (share, "namespace", "research", "viewer"),
        ):
            assert client.put(path, json={"kind": kind, "name": name, "role": role}).status_code == 200
        assert client.post(f"{share}science/link/", json={}).status_code == 200
        limits = {"role_bindings": {"analytics/*": ["developer"]}}
        for body in ({"name": "laptop"}, {"name": "nightly builds"} | limits):
            assert client.post("/api/v1/token/", json=body).status_code == 200
        settings = {
            "quota_environments": 5,
            "quota_builds": 4,
            "quota_bytes": 20 * 2**30,
            "conda_allowed_channels": ["conda-forge", "forge"],
            "conda_forbidden_packages": ["gdal <3"],
            "forbidden_licenses": ["AGPL-*"],
        }
        assert client.put("/api/v1/setting/analytics/", json=settings).status_code == 200
        credential = {"host": "packages.example.org", "username": "build", "secret": "seeded-secret"}
        for place in ("", "namespace/analytics/"):
            assert client.put(f"/api/v1/{place}credential/", json=credential).status_code == 200
        metadata = {"team": "Analytics", "contact": "analytics@example.org"}
        assert client.put("/api/v1/namespace/analytics/metadata", json=metadata).status_code == 200
    with service.client("viewer") as client:
        assert client.delete("/api/v1/environment/default/web/").status_code == 403
