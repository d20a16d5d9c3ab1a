"""How many CPUs this process really has: a container's limit is a quota that libraries overlook.

Threads beyond the limit are throttled, and cost more time than they save.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def cpu_limit(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup"), affinity: int | None = None) -> int:
    """Return the whole CPUs that the cgroup quotas and the affinity mask leave, rounded up, at least 1.

    Args:
        proc: Folder in which the kernel shows processes.
        cgroups: Folder in which the cgroup hierarchies (version 1, version 2 or both) are mounted.
        affinity: Number of CPUs in the affinity mask; None asks the system.
    """
    quotas = [math.ceil(quota) for quota in _quotas(proc, cgroups)]
    return max(1, min([_affinity() if affinity is None else affinity, *quotas]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    """Yield the CPUs that each of the process's cgroups, and each group above it, allows."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        # cgroups(7): "0::/path" for version 2, "4:cpu,cpuacct:/path" for version 1
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0":
            for folder in _folders(cgroups, path):
                yield from _quota_v2(folder)
        elif "cpu" in controllers.split(","):
            for mount in {cgroups / controllers, cgroups / "cpu"}:
                for folder in _folders(mount, path):
                    yield from _quota_v1(folder)


def _folders(mount: Path, path: str) -> Iterator[Path]:
    """Yield a cgroup's folder and those above it, up to the mount.

    In a container the path may be the host's and not exist. The mount is then the group itself.
    """
    inside = PurePosixPath(*[part for part in PurePosixPath(path).parts if part not in ("/", "..")])
    yield from (mount / group for group in (inside, *inside.parents))


def _quota_v2(folder: Path) -> Iterator[float]:
    """Read cpu.max: microseconds of CPU per period, or "max"."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        if quota != "max":
            yield int(quota) / int(period)
    except (OSError, ValueError):  # the root group has no such file
        return


def _quota_v1(folder: Path) -> Iterator[float]:
    """Read cpu.cfs_quota_us and cpu.cfs_period_us; a quota of -1 means that there is none."""
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        if quota > 0:
            yield quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return
