"""Whether a deploy would work, asked before anything is changed (C2): facts of a server, the checks that
judge them, the run that reports.
"""
