/* The PE program that stands under the name of every emulated inbox program (schtasks.exe, icacls.exe ...).
 *
 * It connects to the emulators of its lab host (port and token: C:\windows\system32\lab.port, two lines), says
 * who it is, and then only obeys. All numbers are 32 bits, little endian.
 *   to the lab:    u32 length, then UTF-16LE strings, each ended by NUL: token, own path, command line, current
 *                  directory, code page of the console in decimal, then the environment block.
 *   from the lab:  a letter and a u32:
 *                  O n, E n  n bytes follow, for standard output or error
 *                  R n       read at most n bytes of standard input; answered by u32 got (0: the end) and the bytes.
 *                            Only on request: standard input may belong to the batch file that called.
 *                  X n       exit with this code
 */
#define WIN32_LEAN_AND_MEAN
#define UNICODE
#include <winsock2.h>
#include <windows.h>
#include <stdlib.h>

enum { LOST = 9009, CHUNK = 65536, NAME = 32768 };

static SOCKET lab;
static char buffer[CHUNK];

static void receive(void *data, int size)
{
    int got;
    for (char *at = data; size; at += got, size -= got)
        if ((got = recv(lab, at, size, 0)) <= 0) ExitProcess(LOST);
}

static void transmit(const void *data, int size)
{
    int sent;
    for (const char *at = data; size; at += sent, size -= sent)
        if ((sent = send(lab, at, size, 0)) <= 0) ExitProcess(LOST);
}

static void connect_lab(const char *port)
{
    WSADATA data;
    struct sockaddr_in address = { AF_INET };
    int on = 1, number = 0;

    while (*port >= '0' && *port <= '9') number = number * 10 + *port++ - '0';
    WSAStartup(MAKEWORD(2, 2), &data);
    lab = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_port = htons(number);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(lab, (struct sockaddr *)&address, sizeof address)) ExitProcess(LOST);
    setsockopt(lab, IPPROTO_TCP, TCP_NODELAY, (char *)&on, sizeof on);
}

static WCHAR *append(WCHAR *at, const WCHAR *text)
{
    lstrcpyW(at, text);
    return at + lstrlenW(text) + 1;
}

int main(void)
{
    WCHAR *path = HeapAlloc(GetProcessHeap(), 0, NAME * sizeof(WCHAR)), number[16];
    WCHAR *environment = GetEnvironmentStringsW(), *end = environment, *hello, *at;
    char config[128], *token = config;
    DWORD got, size;
    HANDLE file;

    file = CreateFileW(L"C:\\windows\\system32\\lab.port", GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE || !ReadFile(file, config, sizeof config - 1, &got, NULL)) return LOST;
    CloseHandle(file);
    config[got] = 0;
    while (*token && *token != '\n') token++;
    connect_lab(config);

    while (*end) end += lstrlenW(end) + 1;
    size = (end - environment + lstrlenW(GetCommandLineW()) + 3 * NAME) * sizeof(WCHAR);
    hello = at = HeapAlloc(GetProcessHeap(), 0, size);
    MultiByteToWideChar(CP_UTF8, 0, token + 1, -1, path, NAME);
    at = append(at, path);
    GetModuleFileNameW(NULL, path, NAME);
    at = append(at, path);
    at = append(at, GetCommandLineW());
    GetCurrentDirectoryW(NAME, path);
    at = append(at, path);
    at = append(at, _ultow(GetConsoleOutputCP(), number, 10)); /* wsprintf would bring user32, and all fonts with it */
    CopyMemory(at, environment, (end - environment) * sizeof(WCHAR));
    at += end - environment;
    size = (char *)at - (char *)hello;
    transmit(&size, sizeof size);
    transmit(hello, size);

    for (;;)
    {
        char letter;
        DWORD value, part;
        receive(&letter, 1);
        receive(&value, sizeof value);
        switch (letter)
        {
        case 'X':
            ExitProcess(value);
        case 'R':
            if (!ReadFile(GetStdHandle(STD_INPUT_HANDLE), buffer, min(value, CHUNK), &got, NULL)) got = 0;
            transmit(&got, sizeof got);
            transmit(buffer, got);
            break;
        default:
            file = GetStdHandle(letter == 'O' ? STD_OUTPUT_HANDLE : STD_ERROR_HANDLE);
            for (; value; value -= part)
            {
                part = min(value, CHUNK);
                receive(buffer, part);
                WriteFile(file, buffer, part, &got, NULL); /* a reader that has gone is no error of the program */
            }
        }
    }
}
