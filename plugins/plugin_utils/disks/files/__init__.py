"""Files that a disk takes along."""
