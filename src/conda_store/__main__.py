"""`python -m conda_store`."""

from conda_store.cli.main import main

main()
