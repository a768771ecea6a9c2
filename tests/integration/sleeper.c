/* A restic that hangs: it does nothing, for longer than any test. */
#include <windows.h>

int main(void)
{
    Sleep(INFINITE);
}
