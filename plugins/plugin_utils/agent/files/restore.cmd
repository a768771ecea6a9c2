@echo off
rem One restore, run by the scheduled task as SYSTEM, so that it outlives the connection that started it.
rem Arguments: the target, then for each folder that is kept aside first its source, copy, mask and depth, then
rem each folder above what is restored in place, and its parent.
rem Exit codes are restic's, and 252 when something could not be kept aside: then nothing was overwritten.
setlocal EnableExtensions DisableDelayedExpansion
set "PATH=%SystemRoot%\System32;%SystemRoot%"
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
if %FIRST% gtr $last goto kept
set /a SECOND=FIRST+1
set /a THIRD=FIRST+2
set /a FOURTH=FIRST+3
robocopy "!ARGUMENT%FIRST%!" "!ARGUMENT%SECOND%!" "!ARGUMENT%THIRD%!" !ARGUMENT%FOURTH%! /COPYALL /DCOPY:DAT /B /XJ /R:2 /W:2 /NP /NFL /NDL /NJH /NJS >>keep.log 2>&1
rem From 8 on something was not copied (robocopy); a crash has a negative code.
if !ERRORLEVEL! geq 8 set CODE=252
if !ERRORLEVEL! lss 0 set CODE=252
if !CODE!==252 goto finish
rem The copy of a drive's root is hidden, as the root itself is (robocopy copies attributes of folders).
if "!ARGUMENT%FOURTH%!"=="/LEV:1" attrib -h -s "!ARGUMENT%SECOND%!" >nul 2>nul
set /a FIRST+=4
goto keep

:kept
>kept.txt echo %START%
:restore
call :above save
rem A line of progress every five seconds; restic's own choice would be sixty a second.
set RESTIC_PROGRESS_FPS=0.2
$runs
:finish
call :above restore
rem What opens another server's repository is here for this restore only.
if exist access rmdir /s /q access
call :now END
>status.new echo {"format": 1, "start": "%START%", "end": "%END%", "exit_code": %CODE%}
move /y status.new status.json >nul
exit /b %CODE%

rem restic gives the folders above what it restores the rights of the version, and Windows spreads them. They are
rem saved as SDDL, once, and put back at the end, or at the end of the run that goes on after an interruption.
:above
set /a NEXT=$last+1
:next
if %NEXT% gtr %ARGUMENTS% exit /b
set /a PARENT=NEXT+1
if %1==save if not exist above-%NEXT%.acl icacls "!ARGUMENT%NEXT%!" /save above-%NEXT%.acl /c /q >>above.log 2>&1
if %1==restore if exist above-%NEXT%.acl icacls "!ARGUMENT%PARENT%!" /restore above-%NEXT%.acl /c /q >>above.log 2>&1
set /a NEXT+=2
goto next

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
