"""Where runs are kept: an HDF5 file, and beside it the journal of the run under way."""

from weightsearch.store._filters import check_compression
from weightsearch.store._journal_check import verify
from weightsearch.store._journal_reader import JournalRun
from weightsearch.store._lookup import StoredFit
from weightsearch.store._reader import Hdf5Store, check_store_file
from weightsearch.store._session import WriteSession, consolidate, live_run
from weightsearch.store._verify import Problem

__all__ = [
    "Hdf5Store",
    "JournalRun",
    "Problem",
    "StoredFit",
    "WriteSession",
    "check_compression",
    "check_store_file",
    "consolidate",
    "live_run",
    "verify",
]
