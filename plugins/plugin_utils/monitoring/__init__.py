"""Each client looked at from both sides: the server's facts, findings by a table of kinds, the memory of
what was told already, and the report, metrics and mail that come of it (C9, C12).
"""
