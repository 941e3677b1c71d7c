"""`edge-ttsd bench` under the name of the other tools: python -m tools.bench [VOICE_FOLDER...] [--yardstick FILE]"""

import sys

from edge_tts.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
