"""The children of the crash tests of the store: writers of one run each.

Reads lines ``STORE NUMBER COUNT [STEP TIMES]`` (JSON lists) and forks a writer for
each, since importing takes longer than writing. One of number ``RECOVER`` recovers what
another has left, one of number ``REPACK`` writes the store again. Prints ``pid``, what
the writer prints, and ``exit`` with its code. A writer prints ``begun``, the number
of each fit when it has been appended, then ``committed``. With a step of the commit
protocol, it kills itself when it has reached that step for the given time.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import traceback
from pathlib import Path

from run_samples import fit, header, mlp_arrays, params, results

from weightsearch.store import WriteSession, _beside, consolidate, locked, rewrite

RECOVER, REPACK = -1, -2
LARGE = 600


def tell(*words):
    """Print a line in one piece: a killed writer must not leave half of one."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def die_at(step, times):
    """Kill this process when it has reached a step for the n-th time."""
    left = [times]

    def reached(name):
        if name == step:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    _beside.reached = reached


def main(store, number, count, step=None, times=1):
    if step is not None:
        die_at(step, times)
    if number < 0:
        tell("begun")
        if number == REPACK:
            with locked(Path(store)):
                rewrite(Path(store))
        else:
            consolidate(Path(store))
        tell("committed")
        return
    session = WriteSession.open(Path(store))
    session.begin(header(number))
    session.set_params(0, params(count))
    tell("begun")
    for candidate in range(count):
        # Every third fit is of another architecture, some are large.
        session.append(fit(candidate, hidden=LARGE if candidate % 10 == 9 else 8))
        tell(candidate)
    session.commit(results(count))
    tell("committed")


def serve():
    mlp_arrays(8)
    mlp_arrays(LARGE)
    tell("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            tell("pid", os.getpid())
            # Nothing here takes long: what hangs is to say where.
            faulthandler.dump_traceback_later(100, exit=True)
            try:
                main(*json.loads(line))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        tell("exit", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve()
