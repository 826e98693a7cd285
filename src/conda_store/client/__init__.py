"""A typed client of conda-store's own REST API, synchronous, over httpx.

Nothing is imported here, so that reading remembered credentials costs no HTTP library.
Begin with `conda_store.client.session.Session`.
"""
