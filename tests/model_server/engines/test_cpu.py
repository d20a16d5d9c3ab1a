import os
from pathlib import Path

import pytest

from portable_model_server.engines.cpu import cpu_limit


@pytest.fixture
def machine(tmp_path):
    """Writes a machine's files, and asks for the limit on it with 16 CPUs in the affinity mask."""

    def limit(cgroup: str, files: dict[str, str], affinity: int = 16) -> int:
        for name, text in {
            "proc/self/cgroup": cgroup,
            **{f"cgroup/{name}": text for name, text in files.items()},
        }.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return cpu_limit(tmp_path / "proc", tmp_path / "cgroup", affinity)

    return limit


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("200000 100000", 2), ("250000 100000", 3), ("10000 100000", 1), ("max 100000", 16), ("6400000 100000", 16)],
)
def test_version_2_quota_rounds_up_and_stays_within_the_affinity(machine, quota, expected):
    assert machine("0::/\n", {"cpu.max": quota + "\n"}) == expected


def test_version_2_takes_the_smallest_quota_of_the_groups_above(machine):
    files = {"pods/cpu.max": "300000 100000", "pods/one/cpu.max": "max 100000", "pods/one/app/cpu.max": "500000 100000"}
    assert machine("0::/pods/one/app\n", files) == 3


def test_version_2_ignores_other_groups(machine):
    assert machine("0::/mine\n", {"mine/cpu.max": "max 100000", "other/cpu.max": "100000 100000"}) == 16


@pytest.mark.parametrize("path", ["/../../kubepods/pod1", "/a/path/of/the/host"])
def test_a_path_from_outside_the_container_falls_back_to_the_mount(machine, path):
    assert machine(f"0::{path}\n", {"cpu.max": "400000 100000"}) == 4


VERSION_1 = "12:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n2:cpuset:/docker/x\n"


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("group", ["docker/x/", "docker/", ""])
def test_version_1_quota(machine, mount, group):
    files = {f"{mount}/{group}cpu.cfs_quota_us": "150000\n", f"{mount}/{group}cpu.cfs_period_us": "100000\n"}
    assert machine(VERSION_1, files) == 2


def test_version_1_without_quota(machine):
    files = {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert machine(VERSION_1, files) == 16


def test_both_versions_mounted(machine):
    files = {"cpu/docker/x/cpu.cfs_quota_us": "300000", "cpu/docker/x/cpu.cfs_period_us": "100000"}
    assert machine(VERSION_1 + "0::/docker/x\n", files) == 3


@pytest.mark.parametrize("text", ["", "garbage\n", "0::\n", ":::\n"])
def test_unreadable_membership_leaves_the_affinity(machine, text):
    assert machine(text, {}, affinity=5) == 5


def test_damaged_quota_is_passed_over(machine):
    assert machine("0::/\n", {"cpu.max": "lots\n"}) == 16


def test_no_linux_leaves_the_affinity(tmp_path):
    assert cpu_limit(tmp_path / "none", tmp_path / "none", 3) == 3


def test_this_process():
    assert 1 <= cpu_limit() <= (os.cpu_count() or 1)
    assert Path("/proc").exists() is False or cpu_limit() <= len(os.sched_getaffinity(0))
