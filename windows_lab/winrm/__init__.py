"""The endpoint of a lab host: WS-Man over HTTP as Windows serves it.

Logins, shells, the faults of a bad day, and the journal of what was asked. Of the machine behind it this room
knows what `machine.protocol` says, and no more.
"""
