"""One Windows server over WinRM, without PowerShell: the session, command lines and their quoting, several
questions in one command, paths, scheduled tasks, rights, delivery of files. Knows nothing of backups.
"""
