"""The worker: claims what is to be done, has children do it, keeps the leases, and notices who is lost.

One thread, no work of its own that takes long. It looks when the doorbell rings, and ends within a second what was
cancelled.
"""

from __future__ import annotations

import time
import uuid
from multiprocessing.connection import wait

import structlog

from conda_store.db import artifacts, builds, leases
from conda_store.queue.doorbell import Doorbell
from conda_store.services import housekeeping
from conda_store.services.context import Context
from conda_store.services.links import update_links
from conda_store.worker.jobs import ArtifactJob, BuildJob, Chore, ChoreJob, Job
from conda_store.worker.processes import Child, Nursery

logger = structlog.get_logger()

SWEEP_SECONDS = 5.0
IDLE_CHILD_SECONDS = 60.0
INDEX_SECONDS = 900.0
TIDY_SECONDS = 3600.0
PUT_OFF_SECONDS = 60.0


class Worker:
    """`concurrency` is how many builds and artifacts are made at once."""

    def __init__(
        self, context: Context, nursery: Nursery, doorbell: Doorbell, *, concurrency: int, indexes_channels: bool
    ) -> None:
        self.context = context
        self.nursery = nursery
        self.doorbell = doorbell
        self.concurrency = concurrency
        self.owner = housekeeping.owner_name(uuid.uuid4().hex[:8])
        self.children: list[Child] = []
        self.is_stopping = False
        self._next_renewal = 0.0
        self._next_sweep = 0.0
        self._next_due = 0.0  # unix seconds: a retry's time has come, or a lease has run out
        self._next_index = time.monotonic() + 5 if indexes_channels else float("inf")
        self._next_tidy = time.monotonic() + 5
        self._idle_since = time.monotonic()

    # --- life ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until `stop` is called."""
        housekeeping.recover_of_this_host(self.context, housekeeping.host_prefix())
        self.nursery.prepare()
        logger.info("worker started", owner=self.owner, concurrency=self.concurrency)
        while not self.is_stopping:
            try:
                self._turn()
            except Exception:
                logger.exception("worker stumbled")
                time.sleep(1)
        self._stop()

    def stop(self) -> None:
        """Ask it to end: called from a signal handler."""
        self.is_stopping = True

    def _turn(self) -> None:
        waiting = [item for child in self.children for item in (child.pipe, child.process.sentinel)]
        if waiting:
            wait(waiting, timeout=self.doorbell.interval)
        else:
            time.sleep(self.doorbell.interval)
        has_finished = self._collect()
        now = time.monotonic()
        if now >= self._next_renewal:
            self._renew()
        is_due = time.time() >= self._next_due
        if is_due or now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            housekeeping.recover_expired(self.context)
            housekeeping.tidy_ended(self.context)
        if self.doorbell.has_rung() or has_finished or is_due:
            self._end_cancelled()
            self._look()
            self._next_due = housekeeping.next_moment(self.context)
        self._retire()

    def _stop(self) -> None:
        """Give back what is being worked on: it goes on elsewhere, or when this worker starts again."""
        for child in self.children:
            child.kill()
            job = child.job
            with self.context.database.write() as connection:
                if isinstance(job, BuildJob):
                    leases.release(connection, job.lease)
                elif isinstance(job, ArtifactJob):
                    artifacts.release(connection, job.artifact)
        self.children.clear()
        logger.info("worker stopped", owner=self.owner)

    # --- what there is to do -------------------------------------------------------------------------------

    def _look(self) -> None:
        waiting = housekeeping.look(self.context)
        if waiting.links:
            update_links(self.context)
        while waiting.builds and self._has_room():
            with self.context.database.write() as connection:
                lease = leases.claim(connection, self.owner, self.context.deployment.lease)
            if lease is None:
                break
            self._give(BuildJob(lease))
        while waiting.artifacts and self._has_room():
            with self.context.database.write() as connection:
                artifact = artifacts.claim(connection, self.owner, self.context.deployment.lease)
            if artifact is None:
                break
            self._give(ArtifactJob(artifact))
        self._do_chores(waiting)

    def _do_chores(self, waiting: housekeeping.Waiting) -> None:
        if any(isinstance(child.job, ChoreJob) for child in self.children):
            return
        if waiting.deletions:
            self._give(ChoreJob(Chore.CLEAR))
        elif time.monotonic() >= self._next_tidy and not self._is_busy():
            self._next_tidy = time.monotonic() + TIDY_SECONDS
            self._give(ChoreJob(Chore.TIDY))
        elif time.monotonic() >= self._next_index:
            self._next_index = time.monotonic() + INDEX_SECONDS
            self._give(ChoreJob(Chore.INDEX))
        elif waiting.trash and not self._is_busy():
            self._give(ChoreJob(Chore.TRASH))

    def _is_busy(self) -> bool:
        return any(isinstance(child.job, BuildJob | ArtifactJob) for child in self.children)

    def _has_room(self) -> bool:
        busy = sum(isinstance(child.job, BuildJob | ArtifactJob) for child in self.children)
        return busy < self.concurrency

    def _give(self, job: Job) -> None:
        child = next((child for child in self.children if child.job is None), None)
        if child is None:
            child = self.nursery.new()
            self.children.append(child)
        self._next_renewal = min(self._next_renewal, time.monotonic() + self._renewal_interval)
        if isinstance(job, BuildJob):
            self._stop_trash()
            logger.info("build claimed", build_id=job.lease.build_id, attempt=job.lease.attempt)
        child.give(job)

    def _stop_trash(self) -> None:
        """Deleting beside creating makes creating slow: the trash waits while something is built."""
        for child in list(self.children):
            if isinstance(child.job, ChoreJob) and child.job.chore in {Chore.TRASH, Chore.TIDY}:
                if child.job.chore is Chore.TIDY:
                    self._next_tidy = time.monotonic() + PUT_OFF_SECONDS
                self._dismiss(child)

    # --- the children --------------------------------------------------------------------------------------

    def _collect(self) -> bool:
        """Notice who has finished and who is gone; True when a child is free again."""
        has_finished = False
        for child in list(self.children):
            try:
                has_finished |= child.has_finished()
            except (EOFError, OSError):
                self._lost(child)
                has_finished = True
        return has_finished

    def _lost(self, child: Child) -> None:
        job = child.job
        self._dismiss(child)
        logger.error("process ended without an answer", exitcode=child.process.exitcode)
        if isinstance(job, BuildJob):
            with self.context.database.read() as connection:
                build = builds.get(connection, job.lease.build_id)
            reason = f"the process that built it ended (exit status {child.process.exitcode})"
            housekeeping.end_interrupted(self.context, job.lease, build, reason)
        elif isinstance(job, ArtifactJob):
            reason = f"the process that made it ended (exit status {child.process.exitcode})"
            housekeeping.end_lost_artifact(self.context, job.artifact, reason)

    def _dismiss(self, child: Child) -> None:
        self.children.remove(child)
        child.kill()

    def _retire(self) -> None:
        """Let go of children that are worn, and of all when there has been nothing to do for a while."""
        if any(child.job for child in self.children):
            self._idle_since = time.monotonic()
        is_idle = time.monotonic() - self._idle_since > IDLE_CHILD_SECONDS
        for child in list(self.children):
            if child.job is None and (child.is_worn or is_idle):
                self._dismiss(child)

    # --- leases --------------------------------------------------------------------------------------------

    @property
    def _renewal_interval(self) -> float:
        return self.context.deployment.lease.total_seconds() / 3

    def _renew(self) -> None:
        self._next_renewal = time.monotonic() + self._renewal_interval
        for child in list(self.children):
            duration = self.context.deployment.lease
            if isinstance(child.job, BuildJob):
                with self.context.database.write() as connection:
                    standing = leases.renew(connection, child.job.lease, duration)
                self._obey(child, standing)
            elif isinstance(child.job, ArtifactJob):
                with self.context.database.write() as connection:
                    is_held = artifacts.renew(connection, child.job.artifact, duration)
                if not is_held and not child.has_finished():
                    self._dismiss(child)

    def _end_cancelled(self) -> None:
        for child in list(self.children):
            if isinstance(child.job, BuildJob):
                with self.context.database.read() as connection:
                    standing = leases.standing(connection, child.job.lease)
                self._obey(child, standing)

    def _obey(self, child: Child, standing: leases.Standing) -> None:
        """End a child whose build is cancelled, or is no longer its own."""
        if standing.is_held and not standing.is_cancelled:
            return
        job = child.job
        if not standing.is_held and child.pipe.poll(0.5):
            return  # it has just ended by itself
        self._dismiss(child)
        if isinstance(job, BuildJob) and standing.is_held:
            housekeeping.end_cancelled(self.context, job.lease)
