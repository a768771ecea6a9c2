"""Every intervention, written before it begins and after it ended (C10): the chain of entries, the runs
that they make up, and what is exported of them.
"""
