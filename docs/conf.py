"""How Sphinx builds the documentation: ``make docs``.

The pages are plain Markdown, to be read on a repository's web site too. What Sphinx
needs besides is added here: a table of contents is made of the links of a page's lists.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # executed.py
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # examples are small

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import weightsearch

project = "weightsearch"
author = "weightsearch developers"
project_copyright = "weightsearch developers"
version = release = weightsearch.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "executed",
]
executed_pages = {
    *("after_the_search", "compare", "keeping", "over_time", "plot", "quickstart"),
    *("rebuild", "resume", "searching", "store"),
}
exclude_patterns = ["_build", "**/GALLERY_HEADER.*"]
templates_path = ["_templates"]

# -- pages ---------------------------------------------------------------------------

myst_heading_anchors = 4

# The pages that others stand under, in the order of their lists.
SECTIONS = {"index", "guide", "reference", "project"}
# Files outside this folder, and the pages that stand for them here.
ELSEWHERE = {
    "../CHANGELOG.md": "changelog.md",
    "../CODE_OF_CONDUCT.md": "conduct.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../SECURITY.md": "security.md",
    "../examples/gallery/": "gallery/index.rst",
    **{
        f"../examples/gallery/{name}.py": f"gallery/{name}.rst"
        for name in (
            "plot_8_soup",
            "plot_91_optimism",
            "plot_92_one_standard_error",
            "plot_93_greedy_ensemble",
            "plot_94_another_metric",
            "plot_95_intervals",
            "plot_96_part_ways",
            "plot_97_lottery_ticket",
            "plot_98_width",
            "plot_99_accuracy_from_weights",
        )
    },
}
REPORT = "_static/report.png"
INCLUDED = re.compile(r"```\{include\} (\.\./\w+\.md)\n```\n")
LISTED = re.compile(r"^- \[[^\]]+\]\(([\w/]+)\.(?:md|rst)\)", re.MULTILINE)


def prepare(app, docname, source):
    """Lead links out of this folder to their pages, and add tables of contents."""
    text = source[0]
    if match := INCLUDED.fullmatch(text):
        # Included here, as links are to be led elsewhere in it too.
        file = Path(app.srcdir, match[1]).resolve()
        app.env.note_dependency(str(file))
        text = file.read_text(encoding="utf-8")
        text = re.sub(r"\]\((?=[A-Z_]+\.md)", "](../", text).replace("](docs/", "](")
    for file, page in ELSEWHERE.items():
        text = text.replace(f"]({file})", f"]({page})")
    # Made by tools/report_picture.py, where there is a browser.
    if Path(app.srcdir, REPORT).exists():
        alt = "First screen of a report: the best candidate, the search, the table"
        text = text.replace("<!-- picture of a report -->", f"![{alt}]({REPORT})")
    if docname in SECTIONS:
        pages = "\n".join(LISTED.findall(text))
        text += f"\n\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"
    source[0] = text


# -- reference -----------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc has the types
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"  # names fit beside the page
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"GL03", "GL07", "PR02", "YD01"}
# Other libraries are not here, and a build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|pandas|sklearn|h5py|joblib|matplotlib|scipy|mlflow|skops)\..*")
]


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what a class inherits from another library."""
    function = getattr(obj, "fget", obj)
    function = getattr(function, "func", function)  # cached properties
    module = getattr(function, "__module__", None)
    if what == "class" and not str(module).startswith("weightsearch"):
        return True
    return None


# -- gallery -------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("weightsearch",),
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "min_reported_time": 60,
    "show_memory": False,
    "write_computation_times": False,  # that page asks other hosts for scripts
    "ignore_repr_types": r"weightsearch\.plot|matplotlib",
    "download_all_examples": False,
    "copyfile_regex": r".*\.py",
}

# -- pages as HTML -------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "weightsearch"
html_static_path = ["_static"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "logo": {"text": "weightsearch"},
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc", "sg_download_links"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {name: [] for name in ("index", "quickstart", "howto", "comparison")}
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def write_math(writer, node):
    """Write a formula as MathML, which browsers show by themselves."""
    is_block = isinstance(node, nodes.math_block)
    writer.body.append(tex2mathml(node.astext(), as_block=is_block))
    raise nodes.SkipNode


def setup(app):
    """Connect what is above."""
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
    app.connect("source-read", prepare)
    app.connect("autodoc-skip-member", skip_foreign)
