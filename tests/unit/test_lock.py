"""One writer at a time, whoever it is and however the last one ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from weightsearch.exceptions import StoreLockedError, StoreWriteError
from weightsearch.store._lock import StoreLock, is_locked

HOLD = """
import sys, time
from pathlib import Path
from weightsearch.store._lock import StoreLock
lock = StoreLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
lock.release()
print("released", flush=True)
"""

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX processes")


@pytest.fixture
def store(tmp_path):
    """Where a store may lie."""
    return tmp_path.resolve() / "search.h5"


@pytest.fixture
def holder(store):
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def can_lock(store):
    """Whether the lock is free just now."""
    lock = StoreLock(store)
    try:
        lock.acquire()
    except StoreLockedError:
        return False
    lock.release()
    return True


def test_second_lock_in_the_same_process_is_refused(store):
    """Two objects of one process cannot both hold the lock."""
    first = StoreLock(store)
    first.acquire()

    with pytest.raises(StoreLockedError, match=str(os.getpid())):
        StoreLock(store).acquire()

    first.release()
    assert can_lock(store)


def test_second_lock_in_another_thread_is_refused(store):
    """POSIX locks alone would let a thread of the same process pass."""
    lock = StoreLock(store)
    lock.acquire()
    found = []
    thread = threading.Thread(target=lambda: found.append(can_lock(store)))
    thread.start()
    thread.join()
    lock.release()

    assert found == [False]


def test_error_names_store_and_holder(store, holder):
    """Who is refused learns by which process, and what to do."""
    with pytest.raises(StoreLockedError) as caught:
        StoreLock(store).acquire()

    assert str(store) in str(caught.value)
    assert f"process {holder.pid} " in caught.value.holder
    assert "another store" in str(caught.value)
    assert caught.value.path == str(store)


def test_refused_lock_leaves_the_holder_alone(store, holder):
    """Being refused does not weaken the lock that is held."""
    assert not can_lock(store)
    assert not can_lock(store)
    assert is_locked(store)


@posix
def test_lock_of_a_killed_process_is_free(store, holder):
    """The system drops the lock with its holder; nobody has to clean up."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    assert (store.parent / "search.h5.wsholder").exists()
    assert not is_locked(store)
    assert can_lock(store)


@posix
def test_forked_child_neither_holds_nor_releases(store):
    """A fork inherits the object but not the lock."""
    lock = StoreLock(store)
    lock.acquire()
    child = os.fork()
    if child == 0:
        code = 0 if not can_lock(store) else 1
        lock.release()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    held = subprocess.run(
        [sys.executable, "-c", HOLD, store],
        input="",
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    lock.release()

    assert os.waitstatus_to_exitcode(status) == 0
    assert "StoreLockedError" in held.stderr


@posix
def test_lock_is_free_though_a_forked_child_lives_on(store, tmp_path):
    """Workers that outlive their killed parent do not keep its lock."""
    script = HOLD.replace(
        'print("held", flush=True)',
        "import os\nchild = os.fork()\nif child == 0:\n    time.sleep(60)\n"
        'print("held", child, flush=True)',
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        child = int(process.stdout.readline().split()[1])
        process.kill()
        process.wait()
        try:
            os.kill(child, 0)
            free = can_lock(store)
        finally:
            os.kill(child, signal.SIGKILL)

    assert free


def test_lock_taken_while_its_file_is_removed(store, holder):
    """A lock on a file that its holder has just removed does not count."""
    first = StoreLock(store)
    holder.stdin.close()
    assert holder.stdout.readline() == "released\n"
    holder.wait()
    first.acquire()

    assert not can_lock(store)
    assert (store.parent / "search.h5.wslock").exists()
    first.release()


HURRY = """
import sys, time
from pathlib import Path
from weightsearch.exceptions import StoreLockedError
from weightsearch.store._lock import StoreLock
path = Path(sys.argv[1])
inside = path.with_name("inside")
print("ready", flush=True)
sys.stdin.readline()
entries = 0
until = time.monotonic() + 0.8
while time.monotonic() < until:
    lock = StoreLock(path)
    try:
        lock.acquire()
    except StoreLockedError:
        continue
    inside.open("x").close()
    inside.unlink()
    entries += 1
    lock.release()
print(entries)
"""


def test_many_processes_never_hold_it_together(store):
    """Of processes that take and remove the lock in a hurry one at a time gets in."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HURRY, store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate() for process in processes]

    assert [errors for _, errors in outcomes] == [""] * 4
    assert sum(int(entries) for entries, _ in outcomes) > 100


def test_release_can_remove_every_trace(store):
    """After a finished fit nothing lies beside the store."""
    lock = StoreLock(store)
    lock.acquire()
    lock.release()

    assert list(store.parent.iterdir()) == []


def test_holder_file_says_who(store):
    """The file beside the lock can be read by people and programs."""
    lock = StoreLock(store)
    lock.acquire()
    text = (store.parent / "search.h5.wsholder").read_text()
    lock.release()

    assert json.loads(text)["pid"] == os.getpid()
    assert set(json.loads(text)) == {"host", "pid", "user", "started", "program"}


def test_lock_is_two_files(store):
    """A held lock has no other files than the documented ones."""
    lock = StoreLock(store)
    lock.acquire()
    names = sorted(path.name for path in store.parent.iterdir())
    assert names == ["search.h5.wsholder", "search.h5.wslock"]
    lock.release()


def test_asking_whether_it_is_locked_takes_nothing(store):
    """A reader's question neither makes files nor blocks a writer."""
    assert not is_locked(store)
    assert list(store.parent.iterdir()) == []
    lock = StoreLock(store)
    lock.acquire()
    assert is_locked(store)
    lock.release()
    assert not is_locked(store)


@posix
@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "pipe", "folder"])
def test_what_is_not_a_plain_file_is_left_alone(store, kind):
    """Nothing is made or written through what lies in the lock's place."""
    path, precious = store.with_name("search.h5.wslock"), store.with_name("precious")
    precious.write_text("")
    if kind == "link":
        path.symlink_to(precious)
    elif kind == "dangling":
        path.symlink_to(store.with_name("nowhere"))
    elif kind == "hard link":
        path.hardlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()

    with pytest.raises(StoreWriteError, match="in the way"):
        StoreLock(store).acquire()
    assert not is_locked(store)
    assert precious.read_text() == ""
    assert not store.with_name("nowhere").exists()


@posix
def test_link_in_the_holders_place_is_replaced_and_not_followed(store):
    """Who holds the lock is never written to where a link leads."""
    precious = store.with_name("precious")
    precious.write_text("precious")
    store.with_name("search.h5.wsholder").symlink_to(precious)
    lock = StoreLock(store)
    lock.acquire()

    assert precious.read_text() == "precious"
    assert not store.with_name("search.h5.wsholder").is_symlink()
    lock.release()


def test_foreign_file_in_the_locks_place_is_explained(store):
    """What cannot be locked ends in an error that says what to do."""
    path = store.with_name("search.h5.wslock")
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(StoreLockedError, match="local disk"):
        StoreLock(store).acquire()
    assert path.read_bytes() == b"no database at all" * 100


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_lock_has_the_mode_of_its_store(store, mode):
    """Beside a private store nobody else can read who writes to it."""
    store.write_bytes(b"")
    store.chmod(mode)
    lock = StoreLock(store)
    lock.acquire()
    modes = {path.stat().st_mode & 0o777 for path in store.parent.iterdir()}
    lock.release()

    assert modes == {mode}
