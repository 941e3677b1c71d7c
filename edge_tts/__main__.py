"""python -m edge_tts is the command edge-ttsd."""

import sys

from edge_tts.cli import main

sys.exit(main())
