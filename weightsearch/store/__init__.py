"""Storage of runs: an HDF5 file, and beside it the log of the current run.

============================  =========================================================
What a search calls           ``_session`` (lock, log, commit), ``_lookup`` (what is
                              there already), ``_merge``
The log                       ``_log`` writes, ``_log_file`` reads frames, ``_log_run``
                              is one run of it
Into the file                 ``_writer`` (runs), ``_stacks`` (weights), ``_states``,
                              ``_append`` (so that a crash loses nothing)
Out of the file               ``_reader`` opens, ``_catalog`` is the index,
                              ``_stored_run`` one run of it, ``_verify`` checks all
Both halves                   ``_run`` (what a run can be asked), ``_specs`` and
                              ``_dtypes`` (arrays as bytes), ``_splits``, ``_json``
HDF5                          ``_columns`` (datasets and texts), ``_checked`` (reading a
                              stranger's), ``_names`` (paths)
Files beside the store        ``_beside`` (how they are made), ``_lock``, ``_spool``
============================  =========================================================

A weight goes from a fit through ``_specs.pack`` into a frame of the log; from there,
as the same bytes with the same checksum, into a block of rows of its architecture's
dataset; and back through ``_specs.as_array``. Names and limits are in ``_schema``.
"""

from weightsearch.store._columns import check_compression
from weightsearch.store._dtypes import check_storable
from weightsearch.store._log_run import LogRun
from weightsearch.store._lookup import StoredFit
from weightsearch.store._merge import merge
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._session import WriteSession, consolidate, live_runs, locked
from weightsearch.store._snapshots import has_optimizer
from weightsearch.store._spool import Spool, UnfinishedFit, unfinished_fits
from weightsearch.store._verify import Problem, verify
from weightsearch.store._writer import append_runs, rewrite

__all__ = [
    "Hdf5Store",
    "LogRun",
    "Problem",
    "Spool",
    "StoredFit",
    "UnfinishedFit",
    "WriteSession",
    "append_runs",
    "check_compression",
    "check_storable",
    "consolidate",
    "has_optimizer",
    "live_runs",
    "locked",
    "merge",
    "rewrite",
    "unfinished_fits",
    "verify",
]
