/* type.exe: what cmd.exe's built-in TYPE does in Windows, which Wine's does not: bytes pass untouched, NULs included;
 * a file that begins with the mark of UTF-16LE is converted to the console's code page. The template takes the
 * built-in's name away, so that cmd finds this program. Exit code 1 when a file cannot be read. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

enum { CHUNK = 1 << 16 };

int _dowildcard = 0; /* of the C run-time library: no wildcards in arguments */

static char buffer[CHUNK];

static void print(DWORD stream, const WCHAR *text, int length)
{
    static char bytes[CHUNK * 3];
    DWORD done;
    int size = WideCharToMultiByte(GetConsoleOutputCP(), 0, text, length, bytes, sizeof bytes, NULL, NULL);
    WriteFile(GetStdHandle(stream), bytes, size, &done, NULL);
}

static int fail(DWORD error)
{
    const WCHAR *text = L"Le fichier spécifié est introuvable.\r\n";
    if (error == ERROR_PATH_NOT_FOUND) text = L"Le chemin d’accès spécifié est introuvable.\r\n";
    if (error == ERROR_ACCESS_DENIED) text = L"Accès refusé.\r\n";
    if (error == ERROR_SHARING_VIOLATION)
        text = L"Le processus ne peut pas accéder au fichier car ce fichier est utilisé par un autre processus.\r\n";
    print(STD_ERROR_HANDLE, text, lstrlenW(text));
    return 1;
}

static int type(const WCHAR *name)
{
    DWORD got, done, attributes = GetFileAttributesW(name);
    BOOL wide = FALSE, first = TRUE;
    HANDLE file;

    if (attributes != INVALID_FILE_ATTRIBUTES && attributes & FILE_ATTRIBUTE_DIRECTORY) return fail(ERROR_ACCESS_DENIED);
    file = CreateFileW(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return fail(GetLastError());
    while (ReadFile(file, buffer, CHUNK, &got, NULL) && got)
    {
        if (first && got >= 2 && buffer[0] == (char)0xff && buffer[1] == (char)0xfe) wide = TRUE;
        if (wide)
            print(STD_OUTPUT_HANDLE, (WCHAR *)buffer + first, got / sizeof(WCHAR) - first);
        else if (!WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), buffer, got, &done, NULL))
            break;
        first = FALSE;
    }
    CloseHandle(file);
    return 0;
}

int wmain(int count, WCHAR **arguments)
{
    int code = 0;
    if (count < 2)
    {
        static const WCHAR text[] = L"La syntaxe de la commande n’est pas correcte.\r\n";
        print(STD_ERROR_HANDLE, text, lstrlenW(text));
        return 1;
    }
    for (int i = 1; i < count; i++) code |= type(arguments[i]);
    return code;
}
