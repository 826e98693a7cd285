"""The tables. Names and columns that other programs read (`build.status` for scaling) are as they have always been."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
    true,
)

from conda_store.db.columns import Id, Moment, Words, one_of, reference
from conda_store.domain.access import TokenKind, Way
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.build import BuildStatus

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

namespace = Table(
    "namespace",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("deleted_on", Moment),
    Column("metadata_", JSON, nullable=False, default=dict),
    Index("uq_namespace_name", "name", unique=True, sqlite_where=text("deleted_on IS NULL"),
          postgresql_where=text("deleted_on IS NULL")),
)  # fmt: skip

environment = Table(
    "environment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("namespace_id", Id, reference("namespace.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("current_build_id", Id),
    Column("deleted_on", Moment),
    Column("description", Text),
    # builds with an id up to this one do not become active by themselves
    Column("activation_floor", Id, nullable=False, server_default="0"),
    # the build that the symlink points to, as far as a worker has seen to it
    Column("linked_build_id", Id),
    # what words of a search are looked for in, in lower case
    Column("search_text", Text, nullable=False, server_default=""),
    # of an image by names of packages: the namespace whose member asked for it first
    Column("requested_for", String(255)),
    Index("ix_environment_requested_for", "requested_for", sqlite_where=text("requested_for IS NOT NULL"),
          postgresql_where=text("requested_for IS NOT NULL")),
    Index("uq_environment_namespace_id", "namespace_id", "name", unique=True,
          sqlite_where=text("deleted_on IS NULL"), postgresql_where=text("deleted_on IS NULL")),
    Index("ix_environment_name", "name"),
    Index("ix_environment_current_build_id", "current_build_id"),
    # those that a worker has still to clear up after: few, and asked for by every list
    Index("ix_environment_deleted_on", "deleted_on", sqlite_where=text("deleted_on IS NOT NULL"),
          postgresql_where=text("deleted_on IS NOT NULL")),
)  # fmt: skip

specification = Table(
    "specification",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created_on", Moment, nullable=False),
    Column("is_lockfile", Boolean, nullable=False),
)

lock = Table(
    "lock",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("created_on", Moment, nullable=False),
)

solve = Table(
    "solve",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("lock_digest", String(64)),
    Column("error", Words),
    Column("owner", String(255)),
    Column("lease_until", Float, nullable=False),
    Column("created_on", Moment, nullable=False),
)

build = Table(
    "build",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("specification_id", Id, ForeignKey("specification.id"), nullable=False, index=True),
    Column("environment_id", Id, reference("environment.id"), nullable=False),
    Column("status", one_of(BuildStatus, "buildstatus"), nullable=False),
    Column("status_info", Words),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("scheduled_on", Moment, nullable=False),
    Column("started_on", Moment),
    Column("ended_on", Moment),
    Column("deleted_on", Moment),
    Column("purged_on", Moment),
    Column("build_key_version", Integer, nullable=False),
    Column("key", String(512)),
    Column("prefix", Text),
    Column("lock_digest", String(64)),
    Column("progress", JSON),
    # whose turn it is: see db.leases
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("owner", String(255)),
    Column("lease_until", Float),
    Column("not_before", Float, nullable=False, server_default="0"),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    # who asked for it, and how it came to be
    Column("submitted_by", String(255)),
    Column("origin", String(32), nullable=False, server_default="submitted"),
    # bytes of its size that the package cache and other builds hold as well
    Column("shared_size", BigInteger),
    # its image can be made of the lock alone, while it is being installed
    Column("has_plain_image", Boolean, nullable=False, server_default=text("false")),
    # usage and counts are read from this index alone
    Index("ix_build_environment_id", "environment_id", "id", "status", "size"),
    Index("ix_build_status", "status", "id"),
    Index("ix_build_scheduled_on", "scheduled_on"),
    Index("ix_build_started_on", "started_on"),
    Index("ix_build_ended_on", "ended_on"),
    Index("ix_build_key", "key"),
    Index("ix_build_unpurged", "deleted_on", sqlite_where=text("deleted_on IS NOT NULL AND purged_on IS NULL"),
          postgresql_where=text("deleted_on IS NOT NULL AND purged_on IS NULL")),
    sqlite_autoincrement=True,
)  # fmt: skip

build_artifact = Table(
    "build_artifact",
    metadata,
    Column("id", Id, primary_key=True),
    Column("build_id", Id, reference("build.id"), nullable=False),
    Column("artifact_type", one_of(ArtifactType, "buildartifacttype"), nullable=False),
    Column("key", Text, nullable=False),
    Column("state", one_of(ArtifactState, "artifactstate"), nullable=False),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("sha256", String(64)),
    Column("message", Words),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("owner", String(255)),
    Column("lease_until", Float),
    UniqueConstraint("build_id", "artifact_type", "key"),
    Index("ix_build_artifact_state", "state"),
    Index("ix_build_artifact_artifact_type", "artifact_type", "build_id", "state"),
)

# a layer of images, by all that it depends on (see domain.image)
layer = Table(
    "layer",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("digest", String(64), nullable=False, index=True),
    Column("diff_id", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content_size", BigInteger, nullable=False),
    Column("comment", Text, nullable=False),
    Column("activation", JSON),
    # of packages: eight bytes for each path that they bring
    Column("path_marks", LargeBinary),
    Column("created_on", Moment, nullable=False),
)

image_manifest = Table(
    "image_manifest",
    metadata,
    Column("build_id", Id, reference("build.id"), primary_key=True),
    Column("media_type", String(128), primary_key=True),
    # empty for an index of the images of several platforms
    Column("platform", String(32), primary_key=True),
    # of the layers
    Column("compression", String(16), primary_key=True, server_default="gzip"),
    Column("digest", String(64), nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
)

# layers and configuration of a build's image: whoever may read the environment may fetch them
image_blob = Table(
    "image_blob",
    metadata,
    Column("build_id", Id, reference("build.id"), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Index("ix_image_blob_digest", "digest"),
)

# every blob of images that is in the storage, or about to be: see db.kept_blobs
kept_blob = Table(
    "kept_blob",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("used_on", Float, nullable=False, index=True),
    Column("is_doomed", Boolean, nullable=False),
)

conda_channel = Table(
    "conda_channel",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("last_update", Moment),
)

conda_package = Table(
    "conda_package",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, ForeignKey("conda_channel.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("build", String(255), nullable=False),
    Column("subdir", String(64), nullable=False),
    Column("license", Text),
    Column("size", BigInteger),
    # what makes it this package: digest of URL and sha256
    Column("identity", String(64), nullable=False, unique=True),
    Index("ix_conda_package_name", "name"),
)

build_conda_package = Table(
    "build_conda_package",
    metadata,
    Column("build_id", Id, reference("build.id"), primary_key=True),
    Column("conda_package_id", Id, ForeignKey("conda_package.id"), primary_key=True),
    Index("ix_build_conda_package_conda_package_id", "conda_package_id"),
    sqlite_with_rowid=False,
)

# what current builds hold, to find environments by: versions of packages, conda's and pip's
package_version = Table(
    "package_version",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    UniqueConstraint("name", "version"),
)

environment_package = Table(
    "environment_package",
    metadata,
    Column("package_version_id", Id, ForeignKey("package_version.id"), primary_key=True),
    Column("environment_id", Id, reference("environment.id"), primary_key=True),
    Index("ix_environment_package_environment_id", "environment_id"),
    sqlite_with_rowid=False,
)

build_log = Table(
    "build_log",
    metadata,
    Column("build_id", Id, reference("build.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("text", Words, nullable=False),
)

# roles that were given while the service runs. `holder` is `<kind>:<name>`, the entity may hold `*`
role_binding = Table(
    "role_binding",
    metadata,
    Column("id", Id, primary_key=True),
    Column("way", one_of(Way, "way"), nullable=False),
    # the namespace that gave it: its end is the binding's
    Column("namespace_id", Id, reference("namespace.id"), nullable=False),
    Column("holder", String(300), nullable=False),
    Column("entity_namespace", String(255), nullable=False),
    Column("entity_environment", String(255), nullable=False),
    Column("role", String(80), nullable=False),
    Column("given_by", String(255), nullable=False),
    Column("given_on", Moment, nullable=False),
    UniqueConstraint("namespace_id", "way", "holder", "entity_namespace", "entity_environment", "role"),
    # every request asks which roles its actor holds: this index alone answers
    Index("ix_role_binding_holder", "holder", "way", "entity_namespace", "entity_environment", "role"),
    Index("ix_role_binding_entity_namespace", "entity_namespace"),
)

# links with which anybody may read one environment, by the digest of what stands in them
share_link = Table(
    "share_link",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("environment_id", Id, reference("environment.id"), nullable=False, index=True),
    Column("given_by", String(255), nullable=False),
    Column("given_on", Moment, nullable=False),
    Column("expires_on", Moment, nullable=False),
)

# who has the specification of an environment open for changing, and when their page was heard of last
editor = Table(
    "editor",
    metadata,
    Column("environment_id", Id, reference("environment.id"), primary_key=True),
    Column("identity", String(300), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("seen_on", Moment, nullable=False, index=True),
)

keyvaluestore = Table(
    "keyvaluestore",
    metadata,
    Column("id", Id, primary_key=True),
    Column("prefix", String(255), nullable=False),
    Column("key", String(255), nullable=False),
    Column("value", JSON),
    UniqueConstraint("prefix", "key"),
)

# somebody who has logged in, as the provider described them the last time
account = Table(
    "account",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("provider", String(255), nullable=False),
    Column("groups", JSON, nullable=False),
    Column("bindings", JSON, nullable=False),
    Column("last_login_on", Moment, nullable=False),
    Column("owns_namespace", Boolean, nullable=False, server_default=true()),
)

# what somebody was handed to say who they are: digests only
token = Table(
    "token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("kind", one_of(TokenKind, "tokenkind"), nullable=False),
    Column("name", Words, nullable=False),
    # whose it is: see domain.access.Actor
    Column("identity", String(300), nullable=False, index=True),
    Column("primary_namespace", String(255), nullable=False),
    # beyond these it gives nothing; without them it gives what its owner has
    Column("limits", JSON),
    # the token with which it was made, and with which it ends
    Column("parent_id", Id, reference("token.id"), index=True),
    Column("created_on", Moment, nullable=False),
    Column("expires_on", Moment, index=True),
    Column("last_used_on", Moment),
)

# a login of a program that waits for its owner, or for being fetched
login_grant = Table(
    "login_grant",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_code", String(16), unique=True),
    Column("name", Words, nullable=False),
    Column("challenge", String(64)),
    Column("redirect_uri", Text),
    Column("identity", String(300)),
    Column("primary_namespace", String(255)),
    Column("is_denied", Boolean, nullable=False),
    Column("expires_on", Moment, nullable=False, index=True),
)

# credentials of channels and indexes; sealed with keys that are not in here. Namespace "": usable in all
credential = Table(
    "credential",
    metadata,
    Column("id", Id, primary_key=True),
    Column("namespace", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("username", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("version", String(32), nullable=False),
    Column("set_by", String(255), nullable=False),
    Column("set_on", Moment, nullable=False),
    UniqueConstraint("namespace", "host"),
)

# who did what: rows are added, never changed; triggers refuse both changes and, for 30 days, deletion
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("moment", Moment, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("token", String(255), nullable=False),
    Column("address", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("namespace", String(255)),
    Column("environment", String(255)),
    Column("detail", Words, nullable=False),
    Column("is_allowed", Boolean, nullable=False),
    Column("request_id", String(64), nullable=False),
    Index("ix_audit_moment", "moment"),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_namespace", "namespace", "id"),
)
