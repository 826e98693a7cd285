"""What is tested on SQLite holds on PostgreSQL too: the same tests, with the fixtures of this directory."""

from tests.unit.db.test_migrations import (  # noqa: F401
    test_a_database_of_a_newer_server_is_refused,
    test_migrations_give_the_schema_of_the_tables,
    test_upgrading_twice_changes_nothing,
)
from tests.unit.services.test_given_roles import *  # noqa: F403
from tests.unit.services.test_image_parts import *  # noqa: F403
from tests.unit.services.test_image_sweep import *  # noqa: F403
from tests.unit.services.test_kept_counts import *  # noqa: F403
from tests.unit.services.test_lost_and_late import *  # noqa: F403 - whatever is added there is meant
from tests.unit.services.test_run_build import *  # noqa: F403
