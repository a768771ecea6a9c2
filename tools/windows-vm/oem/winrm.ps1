# The first boot of the virtual machine: the second disk as D:, WinRM over HTTPS for a local administrator.
# Windows PowerShell 5.1; server.pfx and its password are made by tools/windows-vm/start.
$ErrorActionPreference = 'Stop'

# The disk that has no partition yet; a DVD drive may hold the letter.
Get-CimInstance Win32_Volume -Filter "DriveLetter = 'D:' AND DriveType = 5" |
    Set-CimInstance -Property @{ DriveLetter = 'R:' }
Get-Disk | Where-Object PartitionStyle -eq 'RAW' | Select-Object -First 1 |
    Initialize-Disk -PartitionStyle GPT -PassThru |
    New-Partition -DriveLetter D -UseMaximumSize |
    Format-Volume -FileSystem NTFS -NewFileSystemLabel Donnees -Confirm:$false

Set-NetConnectionProfile -NetworkCategory Private
Enable-PSRemoting -Force -SkipNetworkProfileCheck
$secret = ConvertTo-SecureString (Get-Content C:\OEM\pfx.txt) -AsPlainText -Force
$certificate = Import-PfxCertificate -FilePath C:\OEM\server.pfx -CertStoreLocation Cert:\LocalMachine\My -Password $secret
New-Item WSMan:\localhost\Listener -Transport HTTPS -Address * -CertificateThumbPrint $certificate.Thumbprint -Force
New-NetFirewallRule -DisplayName 'WinRM HTTPS' -Direction Inbound -Protocol TCP -LocalPort 5986 -Action Allow

# The scenarios' data have a path of more than 260 characters, which cmd.exe is to make.
Set-ItemProperty -Path HKLM:\SYSTEM\CurrentControlSet\Control\FileSystem -Name LongPathsEnabled -Value 1 -Type DWord

# A local administrator keeps its rights over the network only with this value.
$policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
Set-ItemProperty -Path $policies -Name LocalAccountTokenFilterPolicy -Value 1 -Type DWord
Remove-Item -Path 'C:\OEM\server.pfx', 'C:\OEM\pfx.txt'
