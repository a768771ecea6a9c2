@echo off
rem Run once by dockur/windows at the end of the installation, from C:\OEM.
powershell -NoProfile -ExecutionPolicy Bypass -File C:\OEM\winrm.ps1 >C:\OEM\winrm.log 2>&1
