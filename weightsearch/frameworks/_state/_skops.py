"""skops, imported for little, and asked for what it writes without the way round."""

from __future__ import annotations

import io
import json
import sys
import threading
import zipfile
from collections.abc import Mapping
from types import ModuleType
from typing import Any

__all__ = ["SCHEMA", "skops_io", "take_down"]

SCHEMA = "schema.json"

_ADAPTERS = {"cupy": "cupy", "dask": "dask.array", "torch": "torch"}
"""What scikit-learn's adapter of that name imports."""

_importing = threading.Lock()


def skops_io() -> ModuleType:
    """Import ``skops.io``, and with it no framework.

    skops asks scikit-learn for all of its estimators, which looks into every one of
    its packages, also into the adapters of array libraries. These would import torch:
    200 MB, and four times as long as all the rest takes.
    """
    if "skops.io" not in sys.modules:
        with _importing:
            shut = [
                f"sklearn.externals.array_api_compat.{name}"
                for name, framework in _ADAPTERS.items()
                if framework not in sys.modules
            ]
            shut = [name for name in shut if name not in sys.modules]
            # Where None stands, an import fails, which that search passes over.
            sys.modules.update(dict.fromkeys(shut))  # type: ignore[arg-type]
            try:
                import skops.io
            finally:
                for name in shut:
                    sys.modules.pop(name, None)
    import skops.io

    module: ModuleType = skops.io
    return module


def take_down(item: Any) -> tuple[dict[str, Any], Mapping[str, bytes]]:
    """Return what :func:`skops.io.dumps` writes: the schema, and files by name.

    Keys of the schema that JSON would write as text may still be numbers.

    Its own way leads through indented JSON, written by Python's slow encoder, and a
    zip file; for small models both take longer than all the rest.
    """
    module = skops_io()
    try:
        from skops.io._utils import SaveContext, get_state
    except ImportError:
        archive = zipfile.ZipFile(io.BytesIO(module.dumps(item)))
        files = {name: archive.read(name) for name in archive.namelist()}
        return json.loads(files.pop(SCHEMA)), files
    taken = _Files()
    context = SaveContext(zip_file=taken)
    schema = get_state(item, context)
    schema["protocol"] = context.protocol
    schema["_skops_version"] = sys.modules["skops"].__version__
    return schema, taken


class _Files(dict[str, bytes]):
    """Takes what would be put into a zip file."""

    def writestr(self, name: str, content: Any) -> None:
        self[name] = content.encode() if isinstance(content, str) else bytes(content)

    def namelist(self) -> dict[str, bytes]:
        # Asked for every array whether it is in there.
        return self
