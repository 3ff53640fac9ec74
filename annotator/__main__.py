"""`python -m annotator`."""

import os
import sys

# Python puts the current folder first on the import path, and it may be a stranger's. Nothing is
# imported from there, unless this package itself lies there, as in a source tree.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()] != [_PACKAGE]:  # noqa: PTH109
    del sys.path[0]

from annotator.cli import main  # noqa: E402  after the import path is safe

main()
