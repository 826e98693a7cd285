"""A service with something to look at: environments in all states, long names, a build that runs."""

from __future__ import annotations

from tests.http.service import Service

DESCRIPTIONS = {
    "science": "Numbers, tables and plots for the whole team.",
    "vision": "Training and inference on images, with the drivers of our machines.",
    "web": "What the web shop runs on.",
}
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
    for (namespace, name), text in {
        ("analytics", "science"): DESCRIPTIONS["science"],
        ("research", "vision"): DESCRIPTIONS["vision"],
        ("default", "web"): DESCRIPTIONS["web"],
    }.items():
        with service.client("admin") as client:
            path = f"/api/v1/environment/{namespace}/{name}/"
            assert client.put(path, json={"description": text}).status_code == 200
    ids["waiting"] = service.submit("research", "climate", "python=3.13", "xarray=2025.9", "dask=2025.9")
    return ids
