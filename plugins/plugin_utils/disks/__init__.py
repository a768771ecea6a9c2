"""External disks (C16): what the client asked for, what became of each disk and in whose hands it was, and
what is done about one on the client's server.
"""
