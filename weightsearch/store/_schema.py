"""Names and limits of the store's file; ``docs/format.md`` is normative.

A test holds the two together. Names carry their kind: ``G_`` group, ``D_`` dataset,
``A_`` attribute, ``J_`` key of a JSON text, ``F_`` field of a compound.

:data:`FORMAT_VERSION` changes only when a reader of the old number would misread the
new file: readers skip what they do not know.
"""

from __future__ import annotations

FORMAT = "weightsearch"
FORMAT_VERSION = 1

# The root.
A_FORMAT = "format"
A_FORMAT_VERSION = "format_version"
A_WRITER_VERSION = "writer_version"
A_STORE_UID = "store_uid"
G_RUNS = "runs"
G_KEPT = "kept"
G_INDEX = "index"

# The index: one record per run, and one per fit that can be reused.
D_INDEX_RUNS = "runs"
D_INDEX_FITS = "fits"
F_UID = "uid"
F_NAME = "name"
F_STARTED = "started"
F_FINGERPRINT = "fingerprint"
F_STATUS = "status"
F_REFERRERS = "referrers"
F_NBYTES = "nbytes"
F_FIRST = "first"
F_COUNT = "count"
F_FITS_CRC32 = "fits_crc32"
F_CRC32 = "crc32"
F_KEY = "key"
F_ROW = "row"
F_WEIGHTS = "weights"

# On every dataset but weights, the contents of states and the index, which have a
# checksum per row, content and record.
A_CRC32 = "crc32"

# A run.
A_UID = "uid"
A_STATUS = "status"
A_STARTED = "started"
A_FINISHED = "finished"
A_N_CANDIDATES = "n_candidates"
A_N_SPLITS = "n_splits"
A_BEST_INDEX = "best_index"
D_HEADER = "header"
D_PARAMS = "params"
G_CV_RESULTS = "cv_results"
D_CV_COLUMNS = "cv_columns"
G_FITS = "fits"
G_ARCHITECTURES = "architectures"
G_SPLITS = "splits"
G_STATES = "states"
G_SNAPSHOTS = "snapshots"

# Columns of the table of fits.
D_CANDIDATE = "candidate"
D_SPLIT = "split"
D_FAILED = "failed"
D_HAS_WEIGHTS = "has_weights"
D_KEY = "key"
D_MODEL_KEY = "model_key"
D_ARCHITECTURE = "architecture"
D_ROW = "row"
D_RESULT = "result"
D_STATE = "state"
D_N_EPOCHS = "n_epochs"
D_ORIGIN = "origin"
D_ORIGIN_ROW = "origin_row"

# Snapshots of fits while they trained.
D_FIT = "fit"
D_EPOCH = "epoch"
D_STEP = "step"
D_TIME = "time"
G_METRICS = "metrics"
D_METRIC_COLUMNS = "metric_columns"

# An architecture.
D_SPEC = "spec"
D_ROW_CRC32 = "crc32"
G_WEIGHTS = "weights"
D_OFFSET = "offset"
D_SHAPE = "shape"

# A text column in its packed form.
D_TEXT = "text"
D_TEXT_OFFSET = "offset"

# States of models; the checksums are of each content.
A_N_STATES = "n_states"
D_MODEL = "model"
D_NEEDS = "needs"
D_NAMES = "names"
D_CONTENT = "content"

# The splits of some candidates.
A_FIRST_CANDIDATE = "first_candidate"
A_COUNT = "count"
A_N_ROWS = "n_rows"
D_TRAIN = "train"
D_TRAIN_OFFSET = "train_offset"
D_TEST = "test"
D_TEST_OFFSET = "test_offset"

# Keys of the specs.
J_KIND = "kind"
J_ARRAYS = "arrays"
J_NAME = "name"
J_PATH = "path"
J_DTYPE = "dtype"
J_SHAPE = "shape"
J_ORDER = "order"
J_TIES = "ties"
J_ENCODINGS = "encodings"

STACKED = "stacked"
RAGGED = "ragged"

# How the writer arranges arrays; readers do not rely on these.
MAX_STACKS = 16
"""Stacked architectures of a run; with more it has ragged ones instead."""
BLOCK_BYTES = 8 * 2**20
"""Arrays that are in memory at once while writing or checking."""
CHUNK_BYTES = 2**18
"""Size of the chunks of filtered datasets."""
PLAIN_COLUMN_BYTES = 512
"""Up to here a filter costs a column more than it saves."""
FIXED_TEXT_BYTES = 2**22
"""Up to here a text column is fixed-length however much padding that takes."""

# What readers refuse. Each is far above what the writer needs.
MAX_RUNS = 100_000
MAX_ARCHITECTURES = 100_000
MAX_ARRAYS = 1_000_000
MAX_NAME_BYTES = 4096
MAX_RUN_NAME_BYTES = 128
MAX_NDIM = 30
"""HDF5 has 32 axes at most; the stack and a stand-in type may take one each."""
MAX_JSON_BYTES = 64 * 2**20
MAX_CHUNK_BYTES = 64 * 2**20
MAX_INFLATION = 1100
"""Most bytes that one stored byte may become; deflate's own limit is 1032."""
