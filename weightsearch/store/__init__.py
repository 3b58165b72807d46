"""Where runs are kept: an HDF5 file, and beside it the journal of the run under way."""

from weightsearch.store._hdf5._codec import check_storable
from weightsearch.store._hdf5._filters import check_compression
from weightsearch.store._hdf5._reader import Hdf5Store, check_store_file
from weightsearch.store._hdf5._verify import Problem
from weightsearch.store._journal._check import verify
from weightsearch.store._journal._reader import JournalRun
from weightsearch.store._lookup import StoredFit
from weightsearch.store._session import WriteSession, consolidate, live_run

__all__ = [
    "Hdf5Store",
    "JournalRun",
    "Problem",
    "StoredFit",
    "WriteSession",
    "check_compression",
    "check_storable",
    "check_store_file",
    "consolidate",
    "live_run",
    "verify",
]
