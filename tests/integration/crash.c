/* A program that dies as Windows programs do: of an access violation. Nothing prints, nothing is cleaned up. */
#include <windows.h>

int main(void)
{
    ExitProcess(0xC0000005);
}
