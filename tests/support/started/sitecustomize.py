"""What each Python that a test starts does first (docs.python.org, module `site`).

A run of Ansible makes hundreds of thousands of objects that live to its end, and Python's garbage collector
looks at them again and again: a tenth of the run's CPU. There is no variable for how often it looks.
"""

import gc

gc.set_threshold(300_000, 50, 100)
