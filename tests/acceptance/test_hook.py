"""An operator's function in the configuration file, called by real workers."""

from __future__ import annotations

from tests.acceptance.harness import Store
from tests.waiting import wait_for

CONFIGURATION = """
from pathlib import Path

def told(conda_store, environment):
    link = Path(conda_store.store_directory, environment.namespace.name, "envs", environment.name)
    with open({path!r}, "a") as file:
        print(environment.name, environment.current_build_id, link.exists(), file=file)

c.CondaStore.post_update_environment_build_hook = told
"""


def test_a_hook_is_called_after_the_symlink_is_set(opened: Store) -> None:
    file, answers = opened.directory / "conda_store_config.py", opened.directory / "answers"
    file.write_text(CONFIGURATION.format(path=str(answers)))
    opened.start_worker(f"--config={file}")
    build_id = opened.submit("name: env\ndependencies: [one]\n")
    assert opened.ended(build_id).status == "COMPLETED"
    wait_for("the hook is called", lambda: answers.exists() and answers.read_text())
    assert answers.read_text() == f"env {build_id} True\n"
