import pytest

from conda_store.db.engine import Database
from conda_store.errors import ConfigurationError


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "oracle://u:secret@h/d", "nonsense://u:secret@h/d"])
def test_other_databases_are_refused_with_those_that_can_be_used(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"of the kind '(mysql|oracle|nonsense)' cannot be used") as caught:
        Database(url)
    assert "SQLite" in caught.value.hint and "PostgreSQL" in caught.value.hint
    assert "secret" not in str(caught.value) and "No module" not in str(caught.value)
