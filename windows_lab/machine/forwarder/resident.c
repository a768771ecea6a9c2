/* The lab's hand inside a Wine prefix: starts processes on request, with a hidden console of a given code page
 * as WinRM and the task scheduler of Windows have one. `wine cmd.exe` for each command would lose the command
 * line's quotes, the upper bits of exit codes and a tenth of a second.
 *
 * resident.exe PORT CODEPAGE: connects to 127.0.0.1:PORT and obeys until that connection ends.
 * All numbers are 32 bits, little endian; strings are UTF-16LE, ended by NUL.
 *   from the lab:  length of the rest; 'S', id, then: command line, current directory, NT paths to open as standard
 *                  input, output and error, environment block  (start)   |   'T', id  (terminate with all children)
 *                  |   'F', id  (terminate the first process only)
 *   to the lab:    id, kind, value: kind 0 started (value: process id), 1 not started (Windows error), 2 ended (exit code)
 */
#define WIN32_LEAN_AND_MEAN
#define UNICODE
#include <winsock2.h>
#include <windows.h>

enum { STARTED, REFUSED, ENDED, MOST = 1024, KILLED = 1 };

struct command { DWORD id; HANDLE process, job; };

static SOCKET lab;
static CRITICAL_SECTION lock;
static struct command *running[MOST];

static int receive(void *data, int size)
{
    int got;
    for (char *at = data; size; at += got, size -= got)
        if ((got = recv(lab, at, size, 0)) <= 0) return 0;
    return 1;
}

static void report(DWORD id, DWORD kind, DWORD value)
{
    DWORD message[3] = { id, kind, value };
    EnterCriticalSection(&lock);
    send(lab, (char *)message, sizeof message, 0);
    LeaveCriticalSection(&lock);
}

static DWORD WINAPI wait(void *argument)
{
    struct command *command = argument;
    DWORD code;

    WaitForSingleObject(command->process, INFINITE);
    GetExitCodeProcess(command->process, &code);
    EnterCriticalSection(&lock);
    for (int i = 0; i < MOST; i++) if (running[i] == command) running[i] = NULL;
    LeaveCriticalSection(&lock);
    report(command->id, ENDED, code);
    CloseHandle(command->process);
    CloseHandle(command->job);
    HeapFree(GetProcessHeap(), 0, command);
    return 0;
}

static HANDLE open_stream(WCHAR **at, DWORD access)
{
    SECURITY_ATTRIBUTES inherit = { sizeof inherit, NULL, TRUE };
    HANDLE file = CreateFileW(*at, access, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherit, OPEN_EXISTING, 0, NULL);
    *at += lstrlenW(*at) + 1;
    return file;
}

static void start(DWORD id, WCHAR *at)
{
    STARTUPINFOW startup = { sizeof startup };
    PROCESS_INFORMATION process;
    struct command *command;
    WCHAR *line = at, *folder = line + lstrlenW(line) + 1;
    DWORD error;
    int place = 0, tries = 3;

    at = folder + lstrlenW(folder) + 1;
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = open_stream(&at, GENERIC_READ);
    startup.hStdOutput = open_stream(&at, GENERIC_WRITE);
    startup.hStdError = open_stream(&at, GENERIC_WRITE);
    /* One thread starts all processes, so no other child can inherit these handles.
     * Wine says ERROR_INTERNAL_ERROR of a process that ended before it had begun, as happens once in many thousands on a
     * machine under load. Windows has no such end, and nothing of the command has run: the lab tries again. */
    do
        error = CreateProcessW(NULL, line, NULL, NULL, TRUE, CREATE_UNICODE_ENVIRONMENT | CREATE_SUSPENDED, at, folder,
                               &startup, &process) ? 0 : GetLastError();
    while (error == ERROR_INTERNAL_ERROR && --tries);
    CloseHandle(startup.hStdInput);
    CloseHandle(startup.hStdOutput);
    CloseHandle(startup.hStdError);
    if (error)
    {
        report(id, REFUSED, error);
        return;
    }
    command = HeapAlloc(GetProcessHeap(), 0, sizeof *command);
    command->id = id;
    command->process = process.hProcess;
    command->job = CreateJobObjectW(NULL, NULL);
    AssignProcessToJobObject(command->job, process.hProcess);
    EnterCriticalSection(&lock);
    while (place < MOST - 1 && running[place]) place++;
    running[place] = command;
    LeaveCriticalSection(&lock);
    report(id, STARTED, process.dwProcessId);
    ResumeThread(process.hThread);
    CloseHandle(process.hThread);
    CloseHandle(CreateThread(NULL, 0, wait, command, 0, NULL));
}

static void terminate(DWORD id, BOOL children)
{
    EnterCriticalSection(&lock);
    for (int i = 0; i < MOST; i++)
        if (running[i] && running[i]->id == id)
        {
            if (children) TerminateJobObject(running[i]->job, KILLED);
            else TerminateProcess(running[i]->process, KILLED);
        }
    LeaveCriticalSection(&lock);
}

static void obey(void)
{
    DWORD size;
    while (receive(&size, sizeof size))
    {
        DWORD *message = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, size + 2 * sizeof(WCHAR));
        if (!receive(message, size)) return;
        if (message[0] == 'S') start(message[1], (WCHAR *)(message + 2));
        else terminate(message[1], message[0] == 'T');
        HeapFree(GetProcessHeap(), 0, message);
    }
}

static WCHAR *word(WCHAR *at)
{
    while (*at && *at != ' ') at++;
    while (*at == ' ') at++;
    return at;
}

static int number(const WCHAR *at)
{
    int value = 0;
    while (*at >= '0' && *at <= '9') value = value * 10 + *at++ - '0';
    return value;
}

/* Only a process that is created with CREATE_NO_WINDOW gets a console without a window: start again as one. */
static int again(const WCHAR *line)
{
    STARTUPINFOW startup = { sizeof startup };
    PROCESS_INFORMATION process;
    WCHAR copy[256];

    lstrcpyW(copy, line);
    lstrcatW(copy, L" hidden");
    if (!CreateProcessW(NULL, copy, NULL, NULL, FALSE, CREATE_NO_WINDOW, NULL, NULL, &startup, &process)) return 1;
    return 0;
}

int main(void)
{
    WCHAR *line = GetCommandLineW(), *port = word(line), *page = word(port), *hidden = word(page);
    struct sockaddr_in address = { AF_INET };
    WSADATA data;
    int on = 1;

    if (!*hidden) return again(line);
    SetConsoleOutputCP(number(page));
    SetConsoleCP(number(page));
    InitializeCriticalSection(&lock);
    WSAStartup(MAKEWORD(2, 2), &data);
    lab = socket(AF_INET, SOCK_STREAM, 0);
    SetHandleInformation((HANDLE)lab, HANDLE_FLAG_INHERIT, 0);
    address.sin_port = htons(number(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(lab, (struct sockaddr *)&address, sizeof address)) return 1;
    setsockopt(lab, IPPROTO_TCP, TCP_NODELAY, (char *)&on, sizeof on);
    obey();
    return 0;
}
