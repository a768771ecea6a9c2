@echo off
rem restic with a server's repository and credentials: restic.cmd snapshots, restic.cmd restore ...
rem Everything is found beside this file, so that a staged copy of the folder works like the final one.
setlocal EnableExtensions DisableDelayedExpansion
set "RESTIC_REPOSITORY_FILE=%~dp0repository.txt"
set "RESTIC_PASSWORD_FILE=%~dp0password.txt"
set "RESTIC_CACHE_DIR=%~dp0cache"
set /p $username=<"%~dp0rest-username.txt"
set /p $password=<"%~dp0rest-password.txt"
if exist "%~dp0ca.pem" set "RESTIC_CACERT=%~dp0ca.pem"
if not defined PROSECOURS_RESTIC set "PROSECOURS_RESTIC=$program"
"%~dp0%PROSECOURS_RESTIC%" %*
