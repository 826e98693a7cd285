from pathlib import Path

import pytest

from conda_store.db.engine import Database
from conda_store.errors import ConfigurationError, DatabaseFull


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "oracle://u:secret@h/d", "nonsense://u:secret@h/d"])
def test_other_databases_are_refused_with_those_that_can_be_used(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"of the kind '(mysql|oracle|nonsense)' cannot be used") as caught:
        Database(url)
    assert "SQLite" in caught.value.hint and "PostgreSQL" in caught.value.hint
    assert "secret" not in str(caught.value) and "No module" not in str(caught.value)


def test_want_of_room_is_told_from_other_troubles(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/database.sqlite")
    with pytest.raises(DatabaseFull, match="no space left") as caught, database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(100000)")
    assert "Make room" in caught.value.hint
    assert str(tmp_path) not in str(caught.value), "whoever asks over HTTP may read it"
    database.close()
