from __future__ import annotations

from pathlib import Path

import pytest

from bot.loadtest.procfs import cpu_s, inodes_of, name_of, owner_of, tree_of, udp_sockets

_UDP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref ptr drops
   1: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 5
"""
_TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1EB4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   1: 0100007F:1EB4 0100007F:AAAA 01 00000000:00000000 00:00000000 00000000     0        0 4799 1 0 100 0 0 10 0
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "udp").write_text(_UDP)
    (tmp_path / "net" / "tcp").write_text(_TCP)
    processes = ((10, 1, "python -m bot.cli demo --config x"), (11, 10, "python -m bot.worker 0"), (12, 1, "/bin/sh"))
    for pid, parent, command in processes:
        folder = tmp_path / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "stat").write_text(f"{pid} (a b) S {parent} 0 0 0 0 0 0 0 0 0 150 50 0 0")
        (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode())
    (tmp_path / "10" / "fd" / "3").symlink_to("socket:[4711]")
    (tmp_path / "11" / "fd" / "4").symlink_to("socket:[4711]")
    (tmp_path / "11" / "fd" / "5").symlink_to("/dev/null")
    (tmp_path / "10" / "fd" / "6").symlink_to("socket:[4712]")
    return tmp_path


def test_udp_sockets_have_their_ports_and_drops(proc: Path) -> None:
    (found,) = udp_sockets(proc)

    assert (found.inode, found.port, found.drops) == ("4711", 5060, 5)


def test_the_eldest_process_with_a_port_open_owns_it(proc: Path) -> None:
    assert owner_of(5060, proc) == 10
    assert owner_of(7860, proc) == 10
    assert owner_of(9, proc) is None


def test_a_tree_is_a_process_and_its_descendants_with_their_cpu_time(proc: Path) -> None:
    assert tree_of(10, proc) == (10, 11)
    assert cpu_s((10, 99), proc) == {10: pytest.approx(2.0)}
    assert inodes_of(11, proc) == {"4711"}
    assert inodes_of(99, proc) == frozenset()


def test_a_process_is_named_by_what_it_runs_without_paths(proc: Path) -> None:
    assert [name_of(pid, proc) for pid in (10, 11, 12, 99)] == ["bot.cli demo", "bot.worker 0", "sh", "gone"]


def test_where_there_is_no_proc_nothing_is_seen(tmp_path: Path) -> None:
    assert udp_sockets(tmp_path) == ()
