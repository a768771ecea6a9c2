@echo off
rem Restaure, sur le serveur, la version que ce disque contient. Rien n'est efface : le dossier de destination doit
rem etre vide ou nouveau. restic demande lui-meme le code, qui ne s'affiche pas et n'est ecrit nulle part.
setlocal EnableExtensions DisableDelayedExpansion
cd /d "%~dp0"
set "CIBLE=%~1"
if not defined CIBLE set /p "CIBLE=Dossier de destination, vide ou nouveau (par exemple D:\Restauration) : "
if not defined CIBLE exit /b 1
for /f "delims=" %%x in ('dir /b /a "%CIBLE%" 2^>nul') do goto occupe
echo Saisissez le code de la feuille recue a part, puis Entree.
restic.exe --repo "$folder" --no-cache restore $version --target "%CIBLE%" --verify
set CODE=%ERRORLEVEL%
if %CODE%==0 goto fini
if %CODE%==12 goto refuse
echo La restauration n'est pas complete (code %CODE%) : appelez votre prestataire.
exit /b %CODE%

:fini
echo Restauration terminee et verifiee dans "%CIBLE%".
exit /b 0

:refuse
echo Le code ne convient pas. Rien n'a ete ecrit : relancez restaurer.cmd.
exit /b %CODE%

:occupe
echo Le dossier "%CIBLE%" n'est pas vide : choisissez-en un autre. Rien n'a ete ecrit.
exit /b 1
