@echo off
rem restic with a repository on a disk of this server, and the encryption password of the agent's folder above.
setlocal EnableExtensions DisableDelayedExpansion
set "RESTIC_REPOSITORY_FILE=%~dp0repository.txt"
set "RESTIC_PASSWORD_FILE=%~dp0..\password.txt"
if not defined PROSECOURS_RESTIC set "PROSECOURS_RESTIC=$program"
"%~dp0%PROSECOURS_RESTIC%" --no-cache %*
