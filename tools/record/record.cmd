@echo off
rem What the recorder's task runs as SYSTEM: every row by itself, then a lock that a hanging child holds, as a backup does.
setlocal EnableExtensions DisableDelayedExpansion
set "PATH=%SystemRoot%\System32;%SystemRoot%"
cd /d "%~dp0"
set "RESTIC_REPOSITORY=%~dp0repository"
set "RESTIC_PASSWORD_FILE=%~dp0password.txt"
set "RESTIC_CACHE_DIR=%~dp0cache"
for /l %%n in (0,1,$last) do call :one %%n
mklink /h $program restic.exe >nul 2>nul || copy /y restic.exe $program >nul
rem A watch as backup.cmd has one: it tells that it goes on after the end of the task.
start "" /b cmd /d /c "for /l %%i in (1,1,120) do @(ping -n 2 127.0.0.1 >nul & if exist released.txt (echo 1 >survived.txt & exit))" <nul >nul 2>nul
>held.lock call :held
exit /b

:one
set "BEGIN=%TIME: =0%"
cmd /d /e:on /v:off /c rows.cmd %1 <nul >>rows.out 2>>rows.err
set CODE=%ERRORLEVEL%
rem Where the next row's output begins: both files are brought home whole.
for %%o in (rows.out) do for %%e in (rows.err) do >>codes.txt echo %1 %CODE% %BEGIN% %TIME: =0% %%~zo %%~ze
exit /b

:held
cd staging-held
>..\done.txt echo done
cmd /d /c ..\$program backup --stdin-from-command --json -- cmd /d /c "for /l %%i in (1,1,120) do @(ping -n 2 127.0.0.1 & if exist ..\freed.txt exit)" >..\held.log 2>&1
exit /b
