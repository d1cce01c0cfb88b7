"""`python -m cluster.cli`: the command line where its script is not on the path."""

import sys

from cluster.cli import main

sys.exit(main())
