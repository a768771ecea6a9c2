"""``python -m windows_lab``."""

import sys

from windows_lab.cli import main

sys.exit(main())
