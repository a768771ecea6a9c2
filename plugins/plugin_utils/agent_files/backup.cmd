@echo off
rem The daily backup, run by the scheduled task as SYSTEM. Its exit code is restic's:
rem 0 complete, 3 incomplete, 1 failed, 11 locked, 12 wrong password; 251 when another run holds the lock.
setlocal EnableExtensions DisableDelayedExpansion
cd /d "%~dp0"
if not exist restic.cmd exit /b 250
if not exist logs mkdir logs
if not exist cache mkdir cache

rem cmd opens a redirection for itself alone: while this file is open, nobody else gets past this line.
set HELD=
>backup.lock call :locked
if not defined HELD exit /b 251
exit /b %CODE%

:locked
set HELD=1
call :now START
set "LOG=logs\%START::=%.log"
set ATTEMPT=0
set DEGRADED=false
set "SHADOW=$shadow"

:attempt
set /a ATTEMPT+=1
cmd /d /c restic.cmd backup $options %SHADOW% >>"%LOG%" 2>&1
set CODE=%ERRORLEVEL%
rem Where Windows cannot make shadow copies at all, a backup of the live files beats none.
if not %CODE%==1 goto judge
if not defined SHADOW goto judge
findstr /c:"VssApi" /c:"VSS error" "%LOG%" >nul
if errorlevel 1 goto judge
set SHADOW=
set DEGRADED=true
goto attempt

:judge
rem Only what may pass by itself is tried again: a failure (1) and a repository locked by another host (11).
if not %CODE%==1 if not %CODE%==11 goto finish
if %ATTEMPT% geq $attempts goto finish
rem ping waits one second between packets; timeout needs a console, which the task has not.
ping -n $delay 127.0.0.1 >nul
goto attempt

:finish
call :now END
set ERRORS=0
for /f "delims=" %%e in ('findstr /c:"\"message_type\":\"error\"" "%LOG%"') do set /a ERRORS+=1
rem Where one volume has no shadow copy, restic itself reads its live files and still ends with 0.
findstr /c:"failed to create snapshot" "%LOG%" >nul
if not errorlevel 1 set DEGRADED=true
findstr /c:" does not exist, skipping" /c:" cannot be accessed, skipping" /c:" does not match any files, skipping" "%LOG%" >missing.new
set MISSING=0
for /f "delims=" %%m in (missing.new) do set /a MISSING+=1
call :status >status.new
move /y missing.new missing.txt >nul
move /y status.new status.json >nul
if %CODE%==3 call :remember
if exist incomplete.txt call :mark
for %%l in ("%LOG%") do if %%~zl gtr $log_bytes call :shorten
forfiles /p logs /m *.log /d -$log_days /c "cmd /c del @path" >nul 2>nul
for /f "skip=$log_count delims=" %%l in ('dir /b /o-n logs\*.log') do del "logs\%%l"
exit /b

:status
echo {"format": 1, "start": "%START%", "end": "%END%", "exit_code": %CODE%, "attempts": %ATTEMPT%,
echo "errors": %ERRORS%, "missing": %MISSING%, "degraded": %DEGRADED%, "log": "%LOG:\=/%", "summary":
findstr /c:"\"message_type\":\"summary\"" "%LOG%"
if errorlevel 1 echo null
echo }
exit /b

rem Nothing in a snapshot tells that restic could not read everything. Its id is in the log's summary.
:remember
set SUMMARY=
for /f "delims=" %%s in ('findstr /c:"\"message_type\":\"summary\"" "%LOG%"') do set "SUMMARY=%%s"
set "SNAPSHOT=%SUMMARY:*snapshot_id":"=%"
if defined SUMMARY >>incomplete.txt echo %SNAPSHOT:~0,64%
exit /b

rem Retention on the repository host reads the mark (docs/retention.md); one that cannot be sent waits for the next run.
:mark
for /f %%i in (incomplete.txt) do (
  cmd /d /c restic.cmd backup $mark --tag incomplete=%%i status.json >>"%LOG%" 2>&1
  if errorlevel 1 exit /b
)
del incomplete.txt
exit /b

rem The first argument names the variable that gets the time in UTC, as 2026-01-31T23:59:59Z.
rem robocopy is the inbox program that prints times in UTC and in one form in every language.
:now
set DAY=0000/00/00
set TIME_OF_DAY=00:00:00
echo.>stamp.txt
for /f "tokens=1,2" %%a in ('robocopy . nowhere stamp.txt /L /TS /NC /NS /NDL /NJH /NJS /NP') do (
  set "DAY=%%a"
  set "TIME_OF_DAY=%%b"
)
set "%1=%DAY:/=-%T%TIME_OF_DAY%Z"
exit /b

:shorten
findstr /c:"\"message_type\":\"summary\"" /c:"\"message_type\":\"exit_error\"" "%LOG%" >logs\short.new
move /y logs\short.new "%LOG%" >nul
exit /b
