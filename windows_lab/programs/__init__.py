"""Strict stand-ins for the inbox programs of Windows, in French, as functions behind small PE forwarders.

One module per program (or family); each has a table PROGRAMS of names and functions, joined in table.py. A
program that is not in the table, or a use that a module does not model, ends with exit code 9009 and a
journal entry: never a silent success. They work on the drives, rights and tasks of the machine that calls
them, and know nothing of WinRM."""
