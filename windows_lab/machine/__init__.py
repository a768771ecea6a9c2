"""The machine behind the endpoint: a Wine prefix that passes for a Windows Server.

Its drives, access rights, scheduled tasks and processes; forwarder/ holds the C programs that are compiled
into the prefix.
"""
