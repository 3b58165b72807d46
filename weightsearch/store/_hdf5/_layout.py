"""Every name in a store, once, and the limits that readers hold files to.

The normative page is ``docs/format.md``; a test holds the two together.

How to bump the format
----------------------
1. Needed only when a reader of the old number would misread the new file. New
   optional attributes, datasets or JSON keys need no new number: readers skip what
   they do not know.
2. Freeze the old reader: copy the modules it needs to ``store/old/_v<N>.py``,
   and let ``_reader.Hdf5Store`` choose by ``format_version``. Never edit it again.
3. Raise :data:`FORMAT_VERSION`, change the writer, and rewrite ``docs/format.md``
   with a section on what differs from the version before.
4. Add ``tests/data/format-v<N+1>/``, written by the released writer, with the
   command that made it. Folders of earlier versions stay and go on being read.
5. Say in the changelog which releases read which numbers.

Names carry their kind: ``G_`` group, ``D_`` dataset, ``A_`` attribute, ``J_`` key
of a JSON text.
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

# On every dataset but the weights of layouts, which have a checksum a row.
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
G_LAYOUTS = "layouts"
G_BEST = "best"
D_BEST_SPEC = "best_spec"
G_SPLITS = "splits"
G_STATES = "states"

# Columns of the table of fits.
D_CANDIDATE = "candidate"
D_SPLIT = "split"
D_FAILED = "failed"
D_KEY = "key"
D_LAYOUT = "layout"
D_ROW = "row"
D_RESULT = "result"
D_STATE = "state"

# A layout; it has candidate and split columns too.
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

# One split.
D_TRAIN = "train"
D_TEST = "test"

# Keys of the specs.
J_KIND = "kind"
J_ARRAYS = "arrays"
J_NAME = "name"
J_PATH = "path"
J_DTYPE = "dtype"
J_SHAPE = "shape"
J_NDIM = "ndim"
J_ORDER = "order"
J_TIES = "ties"
J_ENCODINGS = "encodings"

STACKED = "stacked"
RAGGED = "ragged"

# How the writer lays out; readers do not rely on these.
MAX_SHAPES = 16
"""Sets of shapes of the same weights that get stacks of their own."""
MAX_FAMILIES = 16
"""Sets of weights (names, types, axes) that get layouts of their own."""
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
MAX_LAYOUTS = 100_000
MAX_ARRAYS = 1_000_000
MAX_NAME_BYTES = 4096
MAX_NDIM = 30
"""HDF5 has 32 axes at most; the stack and a stand-in type may take one each."""
MAX_JSON_BYTES = 64 * 2**20
MAX_CHUNK_BYTES = 64 * 2**20
MAX_INFLATION = 1100
"""Most bytes that one stored byte may become; deflate's own limit is 1032."""
