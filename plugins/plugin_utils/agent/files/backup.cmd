@echo off
rem The daily backup, run by the scheduled task as SYSTEM. Its exit code is restic's:
rem 0 complete, 3 incomplete, 1 failed, 11 locked, 12 wrong password; 251 when another run holds the lock,
rem 252 when there is no program to run, 253 when the run was ended after $minutes minutes.
rem A program that crashed has a negative code, for which "if errorlevel 1" is false: codes are compared by value.
rem findstr misses lines when several literals of different lengths are searched with regard to case: /i.
setlocal EnableExtensions DisableDelayedExpansion
rem What a server has before System32 (the find and tar of Git, say) is not meant here.
set "PATH=%SystemRoot%\System32;%SystemRoot%"
cd /d "%~dp0"
if not exist restic.cmd exit /b 250
rem What a restore that was cut left of another server's access goes; the lock of one that runs cannot be opened.
if exist restore\restore.lock (>>restore\restore.lock call :withdraw) 2>nul
if not exist logs mkdir logs
if not exist cache mkdir cache

rem Windows ends a task by its first process only (its time limit, schtasks /end): restic would live on, and hold the
rem lock that it inherits. So it runs under a name of its own, and a watch that holds nothing of this run ends it by
rem that name, unless the run's file has gone. The watch is one line: this file may be replaced before it ends.
set "PROSECOURS_RESTIC=$running"
set "RUN=run-%RANDOM%%RANDOM%.tmp"
start "" /b cmd /d /v:off /c "(for /l %%i in (1,1,$minutes) do @(ping -n 61 127.0.0.1 >nul & if not exist %RUN% exit))&del %RUN%&taskkill /f /im $running" <nul >nul 2>nul

rem cmd opens a redirection for itself alone: while this file is open, nobody else gets past this line.
rem A deploy that only looks whether it is free holds it for an instant: that must not cost a night.
set HELD=
set FREED=false
set TRY=0
:take
>backup.lock call :locked
if defined HELD exit /b %CODE%
set /a TRY+=1
if %TRY% geq 5 goto taken
ping -n 3 127.0.0.1 >nul
goto take

:taken
rem Held for longer than a run may last: a restic whose watch was ended too. It goes, once; the status tells.
if %FREED%==true exit /b 251
forfiles /p . /m run-*.tmp /d -$days /c "cmd /c echo @file" >nul 2>nul
if not %ERRORLEVEL%==0 exit /b 251
set FREED=true
taskkill /f /im $running >nul 2>nul
set TRY=0
goto take

:locked
set HELD=1
del run-*.tmp $running >nul 2>nul
>%RUN% echo running
mklink /h $running $program >nul 2>nul || copy /y $program $running >nul
call :now START
set "LOG=logs\%START::=%.log"
set ATTEMPT=0
set DEGRADED=false
set "SHADOW=$shadow"

:attempt
set /a ATTEMPT+=1
rem An antivirus takes a program away after its delivery, too.
if not exist $running (
  >>"%LOG%" echo There is no $program, or Windows lets nobody copy it: an antivirus may have taken it away.
  set CODE=252
  goto finish
)
cmd /d /c restic.cmd backup $options %SHADOW% >>"%LOG%" 2>&1
set CODE=%ERRORLEVEL%
if not exist %RUN% set CODE=253
rem Where Windows cannot make shadow copies at all, a backup of the live files beats none.
if not %CODE%==1 goto judge
if not defined SHADOW goto judge
findstr /i /c:"VssApi" /c:"VSS error" "%LOG%" >nul
if not %ERRORLEVEL%==0 goto judge
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
if %ERRORLEVEL%==0 set DEGRADED=true
findstr /i /c:" does not exist, skipping" /c:" cannot be accessed, skipping" /c:" does not match any files, skipping" "%LOG%" >missing.new
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
del %RUN% $running >nul 2>nul
exit /b

:status
echo {"format": 1, "start": "%START%", "end": "%END%", "exit_code": %CODE%, "attempts": %ATTEMPT%,
echo "errors": %ERRORS%, "missing": %MISSING%, "degraded": %DEGRADED%, "freed": %FREED%, "log": "%LOG:\=/%", "summary":
findstr /c:"\"message_type\":\"summary\"" "%LOG%"
if not %ERRORLEVEL%==0 echo null
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
  cmd /d /c restic.cmd backup $mark --tag incomplete=%%i status.json >>"%LOG%" 2>&1 || exit /b
)
del incomplete.txt
exit /b

rem The lock is held while this runs.
:withdraw
for /d %%d in (restore\*) do if exist "%%d\access" rmdir /s /q "%%d\access"
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
findstr /i /c:"\"message_type\":\"summary\"" /c:"\"message_type\":\"exit_error\"" "%LOG%" >logs\short.new
move /y logs\short.new "%LOG%" >nul
exit /b
