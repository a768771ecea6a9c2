@echo off
rem One restore, run by the scheduled task as SYSTEM, so that it outlives the connection that started it.
rem Arguments: the target, then for each folder that is kept aside first its source, copy, mask and depth.
rem Exit codes are restic's, and 252 when something could not be kept aside: then nothing was overwritten.
setlocal EnableExtensions DisableDelayedExpansion
cd /d "%~dp0"
if defined ARGUMENTS goto held
rem Names may hold what cmd takes for its own (& ^ !): kept in variables and read by !...!, they stay whole.
set ARGUMENTS=0
:take
if "%~1"=="" goto taken
set /a ARGUMENTS+=1
set "ARGUMENT%ARGUMENTS%=%~1"
shift
goto take
:taken
rem cmd opens a redirection for itself alone: while the other cmd runs, nobody else gets past this line.
>..\restore.lock "%ComSpec%" /d /e:on /v:off /c restore.cmd
exit /b

:held
setlocal EnableDelayedExpansion
call :now START
set CODE=0
rem The copies are made once: a second run would copy what was restored meanwhile.
if exist kept.txt goto restore
set FIRST=2
:keep
if %FIRST% gtr %ARGUMENTS% goto kept
set /a SECOND=FIRST+1
set /a THIRD=FIRST+2
set /a FOURTH=FIRST+3
robocopy "!ARGUMENT%FIRST%!" "!ARGUMENT%SECOND%!" "!ARGUMENT%THIRD%!" !ARGUMENT%FOURTH%! /COPYALL /DCOPY:DAT /B /XJ /R:2 /W:2 /NP /NFL /NDL /NJH /NJS >>keep.log 2>&1
if errorlevel 8 (
  set CODE=252
  goto finish
)
set /a FIRST+=4
goto keep

:kept
>kept.txt echo %START%
:restore
rem A line of progress every five seconds; restic's own choice would be sixty a second.
set RESTIC_PROGRESS_FPS=0.2
$runs
:finish
call :now END
>status.new echo {"format": 1, "start": "%START%", "end": "%END%", "exit_code": %CODE%}
move /y status.new status.json >nul
exit /b %CODE%

:now
rem The first argument names the variable that gets the time in UTC, as backup.cmd has it.
set DAY=0000/00/00
set TIME_OF_DAY=00:00:00
echo.>stamp.txt
for /f "tokens=1,2" %%a in ('robocopy . nowhere stamp.txt /L /TS /NC /NS /NDL /NJH /NJS /NP') do (
  set "DAY=%%a"
  set "TIME_OF_DAY=%%b"
)
set "%1=%DAY:/=-%T%TIME_OF_DAY%Z"
exit /b
