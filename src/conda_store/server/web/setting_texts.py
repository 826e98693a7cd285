"""What each setting means, in a sentence for the page."""

from __future__ import annotations

TEXTS = {
    "default_namespace": "Where anonymous callers' environments go, and what is meant when no namespace is named.",
    "filesystem_namespace": "Where the environments of watched files go.",
    "default_uid": "Owner of environments on disk; null leaves them to the worker's user.",
    "default_gid": "Group of environments on disk; null leaves them to the worker's group.",
    "default_permissions": "Permissions of environments on disk: three octal digits, or null.",
    "storage_threshold": "Bytes of disk that have to be free for another build.",
    "conda_command": "Kept for older configurations; nothing is run.",
    "conda_platforms": "Platforms whose packages are indexed for the search.",
    "conda_max_solve_time": "Seconds that a solve may take.",
    "conda_indexed_channels": "Channels whose packages are indexed for the search.",
    "build_artifacts_kept_on_deletion": "What stays of a build that is deleted.",
    "conda_solve_platforms": "Platforms that every specification is solved for.",
    "conda_channel_alias": "What stands before channels that are named without an address.",
    "conda_default_channels": "Channels of specifications that name none.",
    "conda_allowed_channels": "Channels that may be used; an empty list allows all.",
    "conda_default_packages": "Packages of specifications that name none.",
    "conda_required_packages": "Packages that every specification has to name.",
    "conda_included_packages": "Packages that are added to every specification.",
    "pypi_default_packages": "Packages from Python indexes for specifications with an empty pip part.",
    "pypi_required_packages": "Packages that every pip part has to name.",
    "pypi_included_packages": "Packages that are added to every pip part.",
    "lockfiles_need_allowed_channels": "Whether the allowed channels hold for locks that are handed in, too.",
    "conda_forbidden_packages": "Match specs of packages that may not be in an environment.",
    "pypi_forbidden_packages": "Requirements of Python packages that may not be in an environment.",
    "forbidden_licenses": "Licences that packages may not have; a * stands for anything.",
    "allowed_licenses": "Licences that packages may have; an empty list allows all.",
    "package_cooldown_days": "Days that a package has to be uploaded before it is used; 0 for none.",
    "build_artifacts": "What is made of every build besides the environment itself.",
}
