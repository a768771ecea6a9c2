/* bcryptprimitives.dll for Wine before 8.13: Go programs take their random numbers from ProcessPrng. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(void *buffer, ULONG size); /* RtlGenRandom, advapi32 */

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *data, SIZE_T size)
{
    const SIZE_T most = 1u << 30;
    for (SIZE_T part; size; data += part, size -= part)
    {
        part = size < most ? size : most;
        if (!SystemFunction036(data, (ULONG)part)) return FALSE;
    }
    return TRUE;
}
