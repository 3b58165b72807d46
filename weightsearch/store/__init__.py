"""Storage of runs: an HDF5 file, and beside it the log of the current run."""

from weightsearch.store._columns import check_compression
from weightsearch.store._dtypes import check_storable
from weightsearch.store._log_run import LogRun
from weightsearch.store._lookup import StoredFit
from weightsearch.store._merge import merge
from weightsearch.store._reader import Hdf5Store, check_store_file
from weightsearch.store._session import WriteSession, consolidate, live_runs, locked
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
    "check_store_file",
    "consolidate",
    "live_runs",
    "locked",
    "merge",
    "rewrite",
    "unfinished_fits",
    "verify",
]
