"""The worker: claims what is to be done, has children do it, keeps the leases, and notices who is lost.

One thread, no work of its own that takes long. It looks when the doorbell rings, and ends within a second what was
cancelled.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import wait

import structlog

from conda_store.db import artifacts, builds, leases
from conda_store.db.environments import LinkChange
from conda_store.domain.build import BuildStatus
from conda_store.errors import BuildFailed, Interrupted, Unavailable
from conda_store.queue.doorbell import Doorbell
from conda_store.services import housekeeping
from conda_store.services.context import Context
from conda_store.services.ending import give_back, give_up
from conda_store.services.links import update_links
from conda_store.services.packing import remove_abandoned_files
from conda_store.services.quotas import claim_build, took_too_long
from conda_store.services.temporary_files import clear_temporary_files
from conda_store.worker.announcing import Announcer
from conda_store.worker.chores import Chores
from conda_store.worker.jobs import ArtifactJob, BuildJob, ChoreJob, Job
from conda_store.worker.processes import Child, Nursery

logger = structlog.get_logger()

SWEEP_SECONDS = 5.0
IDLE_CHILD_SECONDS = 15.0
LOOK_AT_LEASES_SECONDS = 1.0
LONGEST_SECONDS = 6 * 3600  # of what has no limit of its own and cannot be cancelled: artifacts and chores


class Worker:
    """`concurrency` is how many builds and artifacts are made at once; as many images are made beside the builds that
    install them, so that those who wait for one do not wait for other builds."""

    def __init__(
        self,
        context: Context,
        nursery: Nursery,
        doorbell: Doorbell,
        *,
        concurrency: int,
        indexes_channels: bool,
        announcer: Announcer | None = None,
    ) -> None:
        self.context = context
        self.nursery = nursery
        self.doorbell = doorbell
        self.concurrency = concurrency
        self.announcer = announcer
        self.owner = housekeeping.owner_name(uuid.uuid4().hex[:8])
        self.chores = Chores(indexes_channels=indexes_channels)
        self.children: list[Child] = []
        # what has come to nothing, and could not be written down so far
        self.untold: list[tuple[Job, BuildFailed]] = []
        self.is_stopping = False
        self._has_forked = False
        self._clock = time.time() - time.monotonic()
        self._next_renewal = 0.0
        self._next_sweep = 0.0
        self._quiet_until = 0.0
        self._next_due = 0.0  # unix seconds: a retry's time has come, or a lease has run out
        self._idle_since = time.monotonic()

    # --- life ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until `stop` is called."""
        self._carefully(lambda: housekeeping.recover_of_this_host(self.context, housekeeping.host_prefix()))
        self.nursery.prepare()
        logger.info("worker started", owner=self.owner, concurrency=self.concurrency)
        while not self.is_stopping:
            if not self._carefully(self._turn):
                time.sleep(1)
        self._stop()

    def _carefully(self, step: Callable[[], object]) -> bool:
        """Whatever happens is logged, and the worker goes on: what it has not done is found again in the database."""
        try:
            step()
        except Unavailable as error:
            logger.error("worker stumbled", error=error.message)
            return False
        except Exception:
            logger.exception("worker stumbled")
            return False
        return True

    def stop(self) -> None:
        """Ask it to end: called from a signal handler."""
        self.is_stopping = True

    def _turn(self) -> None:
        has_finished = self._collect(self._wait())
        self._end_overdue()
        now = time.monotonic()
        if now >= self._next_renewal:
            self._renew()
        is_due = time.time() >= self._next_due
        if now >= self._next_sweep or (is_due and now >= self._quiet_until):
            self._sweep(now)
        if self.doorbell.has_rung() or has_finished or is_due:
            self._end_cancelled()
            self._look()
            self._next_due = housekeeping.next_moment(self.context)
        self._retire()

    def _wait(self) -> list[Child]:
        """The children that have answered, or are gone, before the doorbell has to be looked at."""
        signs = [sign for child in self.children for sign in child.signs]
        if (bell := self.doorbell.descriptor) is not None:
            signs.append(bell)
        if not signs:
            time.sleep(self.doorbell.interval)
            return []
        told = set(wait(signs, timeout=self.doorbell.interval))
        return [child for child in self.children if not told.isdisjoint(child.signs)]

    def _sweep(self, now: float) -> None:
        self._next_sweep = now + SWEEP_SECONDS
        if self._has_clock_jumped():
            # leases seem to have run out that have not: time for everybody to renew
            self._next_sweep = self._quiet_until = now + self.context.deployment.lease.total_seconds()
            self._next_renewal = now
            return
        self._quiet_until = now + LOOK_AT_LEASES_SECONDS
        self._tell()
        if not self.untold:  # else their leases have run out, too, and others would tell another reason
            housekeeping.recover_expired(self.context)

    def _has_clock_jumped(self) -> bool:
        """Whether the time of day has moved by other than the time that has passed: set anew, or the machine slept."""
        before, self._clock = self._clock, time.time() - time.monotonic()
        return abs(self._clock - before) > self._renewal_interval

    def _stop(self) -> None:
        """Give back what is being worked on: it goes on elsewhere, or when this worker starts again."""
        for child in self.children:
            child.kill()
        for child in self.children:
            self._carefully(partial(self._give_back, child.job))
        self.children.clear()
        self._tell()
        self._carefully(partial(clear_temporary_files, self.context.deployment))
        logger.info("worker stopped", owner=self.owner)

    def _give_back(self, job: Job | None) -> None:
        if isinstance(job, BuildJob):
            give_back(self.context, job.lease)
        elif isinstance(job, ArtifactJob):
            with self.context.database.write() as connection:
                artifacts.release(connection, job.artifact)
            remove_abandoned_files(self.context)

    # --- what there is to do -------------------------------------------------------------------------------

    def _look(self) -> None:
        waiting = housekeeping.look(self.context)
        try:
            self._take(waiting)
        finally:  # also where nothing can be written: taking out the trash makes room
            self._do_chores(waiting)

    def _take(self, waiting: housekeeping.Waiting) -> None:
        if waiting.links:
            self._announce(update_links(self.context))
        if (waiting.builds or waiting.artifacts) and not self._has_forked:
            # waits for the fork server, which may still be importing: no lease runs meanwhile
            self.children.append(self.nursery.new())
            self._has_forked = True
        while waiting.builds and self._has_room():
            claim = claim_build(self.context, self.owner)
            if claim is None:
                break
            self._give(BuildJob(claim.lease, claim.seconds))
        if waiting.artifacts:
            self._look_for_artifacts(beside_build=True)
            self._look_for_artifacts(beside_build=False)

    def _look_for_artifacts(self, *, beside_build: bool) -> None:
        while self._has_room(beside_build=beside_build):
            with self.context.database.write() as connection:
                duration = self.context.deployment.lease
                artifact = artifacts.claim(connection, self.owner, duration, beside_build=beside_build)
            if artifact is None:
                break
            self._give(ArtifactJob(artifact, beside_build))

    def _announce(self, changes: Sequence[LinkChange]) -> None:
        """Tell the operator's hook which environments have another active build now."""
        for change in changes:
            if self.announcer is not None and change.build_id is not None:
                self.announcer.announce(change.namespace, change.name)

    def _do_chores(self, waiting: housekeeping.Waiting) -> None:
        if any(isinstance(child.job, ChoreJob) for child in self.children):
            return
        if chore := self.chores.next(waiting, is_busy=self._is_busy(), has_untidied=self._has_untidied):
            self._give(ChoreJob(chore))

    def _has_untidied(self) -> bool:
        at_work = [child.job.lease.build_id for child in self.children if isinstance(child.job, BuildJob)]
        return housekeeping.has_untidied(self.context, at_work)

    def _is_busy(self) -> bool:
        return any(isinstance(child.job, BuildJob | ArtifactJob) for child in self.children)

    def _has_room(self, *, beside_build: bool = False) -> bool:
        jobs = [child.job for child in self.children if isinstance(child.job, BuildJob | ArtifactJob)]
        beside = sum(isinstance(job, ArtifactJob) and job.is_beside_build for job in jobs)
        return (beside if beside_build else len(jobs) - beside) < self.concurrency

    def _give(self, job: Job) -> None:
        """Have a child do it; when that cannot be, it is given back."""
        try:
            self._hand_over(job)
        except Exception:
            self._carefully(partial(self._give_back, job))
            raise

    def _hand_over(self, job: Job) -> None:
        for gone in [child for child in self.children if child.job is None and not child.is_alive]:
            self._dismiss(gone)
        child = next((child for child in self.children if child.job is None), None)
        if child is None:
            child = self.nursery.new()
            self.children.append(child)
        self._next_renewal = min(self._next_renewal, time.monotonic() + self._renewal_interval)
        if isinstance(job, BuildJob):
            self._make_room()
            logger.info("build claimed", build_id=job.lease.build_id, attempt=job.lease.attempt)
        child.began, child.completed = time.monotonic(), None
        child.give(job)

    def _make_room(self) -> None:
        """Break off what would slow a build."""
        for child in list(self.children):
            if isinstance(child.job, ChoreJob) and self.chores.makes_room(child.job.chore):
                self._dismiss(child)

    # --- the children --------------------------------------------------------------------------------------

    def _collect(self, told: Sequence[Child]) -> bool:
        """Notice who of them has finished and who is gone; True when a child is free again."""
        has_finished = False
        for child in told:
            job = child.job
            try:
                if not child.has_finished():
                    continue
            except (EOFError, OSError):
                self._lost(child)
            else:
                self._announce(child.outcome.activated)
                if isinstance(job, ChoreJob):
                    self.chores.done(job.chore)
                if job is not None and child.outcome.failure is not None:
                    self._end(job, child.outcome.failure)
            has_finished = True
        return has_finished

    def _lost(self, child: Child) -> None:
        job = child.job
        self._dismiss(child)
        logger.error("process ended without an answer", exitcode=child.process.exitcode)
        if job is not None:
            made = "built" if isinstance(job, BuildJob) else "made"
            self._end(job, Interrupted(f"the process that {made} it ended (exit status {child.process.exitcode})"))

    def _end_overdue(self) -> None:
        """End what has run longer than it may."""
        for child in list(self.children):
            job = child.job
            seconds = job.seconds if isinstance(job, BuildJob) else LONGEST_SECONDS
            if job is None or seconds is None or time.monotonic() - child.began <= seconds or child.pipe.poll():
                continue
            self._dismiss(child)
            logger.error("process ended that took too long", seconds=seconds, job=type(job).__name__)
            hours = f"it took longer than {LONGEST_SECONDS // 3600} hours"
            self._end(job, took_too_long(seconds) if isinstance(job, BuildJob) else Interrupted(hours))

    def _end(self, job: Job, failure: BuildFailed) -> None:
        """Write down that a job has come to nothing."""
        self.untold.append((job, failure))
        self._tell()
        if self.untold:
            logger.error("ends cannot be written down yet", count=len(self.untold), failure=failure.message)

    def _tell(self) -> None:
        """Write down what has come to nothing; what cannot be written now is kept for the next time."""
        untold, self.untold = self.untold, []
        for job, failure in untold:
            try:
                if isinstance(job, BuildJob):
                    give_up(self.context, job.lease, failure)
                elif isinstance(job, ArtifactJob):
                    housekeeping.end_lost_artifact(self.context, job.artifact, failure.message)
            except Unavailable:
                self.untold.append((job, failure))
            except Exception:
                logger.exception("end cannot be written down")

    def _dismiss(self, child: Child) -> None:
        self.children.remove(child)
        child.kill()
        self._carefully(partial(clear_temporary_files, self.context.deployment))

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
        duration = self.context.deployment.lease
        for child in list(self.children):
            if isinstance(child.job, BuildJob):
                with self.context.database.write(is_own=True) as connection:
                    standing = leases.renew(connection, child.job.lease, duration)
                self._obey(child, child.job, standing)
            elif isinstance(child.job, ArtifactJob):
                with self.context.database.write(is_own=True) as connection:
                    is_held = artifacts.renew(connection, child.job.artifact, duration)
                self._obey_artifact(child, child.job, is_held=is_held)
        self._next_renewal = time.monotonic() + self._renewal_interval

    def _end_cancelled(self) -> None:
        for child in list(self.children):
            if isinstance(child.job, BuildJob):
                with self.context.database.read() as connection:
                    standing = leases.standing(connection, child.job.lease)
                self._obey(child, child.job, standing)
            elif isinstance(child.job, ArtifactJob):
                with self.context.database.read() as connection:
                    is_held = artifacts.is_to_be_made(connection, child.job.artifact)
                self._obey_artifact(child, child.job, is_held=is_held)

    def _obey_artifact(self, child: Child, job: ArtifactJob, *, is_held: bool) -> None:
        """End a child whose artifact nobody wants any more, or is no longer its own; what it had begun goes as well."""
        if is_held or child.pipe.poll(0.1):
            return  # else it has just answered
        self._dismiss(child)
        self._end(job, Interrupted("the build was deleted, or given up"))

    def _is_finishing(self, child: Child, lease: leases.Lease) -> bool:
        """Whether this very attempt has completed its build, and the child may still write the log: for as long as a
        lease runs, since the storage may hang."""
        with self.context.database.read() as connection:
            build = builds.get(connection, lease.build_id)
        if build is None or (build.status, build.attempt) != (BuildStatus.COMPLETED, lease.attempt):
            return False
        child.completed = child.completed or time.monotonic()
        return time.monotonic() - child.completed < self.context.deployment.lease.total_seconds()

    def _obey(self, child: Child, job: BuildJob, standing: leases.Standing) -> None:
        """End a child whose build is cancelled, or is no longer its own."""
        if standing.is_held and not standing.is_cancelled:
            return
        if not standing.is_held and (self._is_finishing(child, job.lease) or child.pipe.poll(0.5)):
            return  # it ends by itself: it writes the log, or has just answered
        self._dismiss(child)
        self._end(job, Interrupted("the build was canceled"))
