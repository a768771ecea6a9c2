/* vssapi.dll: a Volume Shadow Copy service that makes no copy. Wine has none at all, and a backup program that cannot
 * even reach the service ends at once, where on Windows it goes on and says that the copy failed.
 *
 * The "copy" of a volume is the volume itself, so what a program does with shadow copies is exercised, not that files
 * stand still. While C:\windows\system32\vss.broken exists, making a copy fails as with a writer's veto; with vss.denied
 * as for a caller without the right (restic#4986); vss.busy goes with the first copy that it refuses, as one does while
 * another program makes its own.
 * Only what a requester of file backups calls has a body; every other method answers E_NOTIMPL. 64 bits only: there a
 * GUID by value is a pointer. Order of methods: vsbackup.h of the Windows SDK.
 */
#define COBJMACROS
#define UNICODE
#include <windows.h>
#include <objbase.h>

enum {
    QUERY, ADD, RELEASE, INITIALIZE_FOR_BACKUP = 5, SET_BACKUP_STATE, GATHER_WRITER_METADATA = 9, PREPARE_FOR_BACKUP = 14,
    ABORT_BACKUP, BACKUP_COMPLETE = 27, SET_CONTEXT = 35, START_SNAPSHOT_SET, ADD_TO_SNAPSHOT_SET, DO_SNAPSHOT_SET,
    DELETE_SNAPSHOTS, GET_SNAPSHOT_PROPERTIES = 42, IS_VOLUME_SUPPORTED = 44, METHODS = 51, MOST = 26
};
#define VSS_E_OBJECT_NOT_FOUND ((HRESULT)0x80042308)
#define VSS_E_PROVIDER_VETO ((HRESULT)0x80042306)
#define VSS_E_SNAPSHOT_SET_IN_PROGRESS ((HRESULT)0x80042316)
#define VSS_S_ASYNC_FINISHED 0x0004230A

struct properties
{
    GUID snapshot, set;
    LONG count;
    WCHAR *device, *volume, *machine, *service_machine, *exposed_name, *exposed_path;
    GUID provider;
    LONG attributes;
    LONGLONG created;
    LONG state;
};

struct object { void **methods; LONG references; };
struct async { void **methods; LONG references; HRESULT result; };

static WCHAR volumes[MOST][MAX_PATH]; /* copy n is of volume n; its GUID ends in n */
static LONG copies;

static HRESULT WINAPI not_there(void) { return E_NOTIMPL; }
static HRESULT WINAPI good(void) { return S_OK; }
static ULONG WINAPI add(struct object *this) { return InterlockedIncrement(&this->references); }

static ULONG WINAPI release(struct object *this)
{
    ULONG left = InterlockedDecrement(&this->references);
    if (!left) HeapFree(GetProcessHeap(), 0, this);
    return left;
}

static HRESULT WINAPI query(struct object *this, const GUID *id, void **out)
{
    (void)id;
    add(this);
    *out = this;
    return S_OK;
}

static HRESULT WINAPI async_wait(struct async *this, DWORD milliseconds)
{
    (void)this, (void)milliseconds;
    return S_OK;
}

static HRESULT WINAPI async_status(struct async *this, HRESULT *status, INT *reserved)
{
    (void)reserved;
    *status = this->result;
    return S_OK;
}

static void *async_methods[] = { query, add, release, good, async_wait, async_status };

static HRESULT make_async(struct async **out, HRESULT result)
{
    struct async *made = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *made);
    made->methods = async_methods;
    made->references = 1;
    made->result = result;
    *out = made;
    return S_OK;
}

static HRESULT WINAPI finished(struct object *this, struct async **out)
{
    (void)this;
    return make_async(out, VSS_S_ASYNC_FINISHED);
}

static HRESULT WINAPI do_snapshot_set(struct object *this, struct async **out)
{
    BOOL broken = GetFileAttributesW(L"C:\\windows\\system32\\vss.broken") != INVALID_FILE_ATTRIBUTES;
    (void)this;
    return make_async(out, broken ? VSS_E_PROVIDER_VETO : VSS_S_ASYNC_FINISHED);
}

static HRESULT WINAPI start_snapshot_set(struct object *this, GUID *set)
{
    (void)this;
    if (GetFileAttributesW(L"C:\\windows\\system32\\vss.denied") != INVALID_FILE_ATTRIBUTES) return E_ACCESSDENIED;
    if (DeleteFileW(L"C:\\windows\\system32\\vss.busy")) return VSS_E_SNAPSHOT_SET_IN_PROGRESS;
    return CoCreateGuid(set);
}

static HRESULT WINAPI add_to_snapshot_set(struct object *this, WCHAR *volume, const GUID *provider, GUID *copy)
{
    LONG number = InterlockedIncrement(&copies) - 1;
    (void)this, (void)provider;
    if (number >= MOST || lstrlenW(volume) >= MAX_PATH) return E_OUTOFMEMORY;
    lstrcpyW(volumes[number], volume);
    CoCreateGuid(copy);
    copy->Data4[7] = number;
    return S_OK;
}

static HRESULT WINAPI is_volume_supported(struct object *this, const GUID *provider, WCHAR *volume, BOOL *supported)
{
    (void)this, (void)provider;
    *supported = !(volume[0] == '\\' && volume[1] == '\\' && volume[2] != '?'); /* never a network share */
    return S_OK;
}

static WCHAR *copy_text(const WCHAR *prefix, const WCHAR *text)
{
    WCHAR *made = CoTaskMemAlloc((lstrlenW(prefix) + lstrlenW(text) + 1) * sizeof(WCHAR));
    lstrcpyW(made, prefix);
    lstrcatW(made, text);
    return made;
}

static HRESULT WINAPI get_snapshot_properties(struct object *this, const GUID *copy, struct properties *out)
{
    LONG number = copy->Data4[7];
    WCHAR *device;
    (void)this;
    if (number >= copies) return VSS_E_OBJECT_NOT_FOUND;
    ZeroMemory(out, sizeof *out);
    device = copy_text(volumes[number][0] == '\\' ? L"" : L"\\\\?\\", volumes[number]);
    if (device[lstrlenW(device) - 1] == '\\') device[lstrlenW(device) - 1] = 0;
    out->snapshot = *copy;
    out->count = 1;
    out->device = device;
    out->volume = copy_text(L"", volumes[number]);
    return S_OK;
}

static HRESULT WINAPI delete_snapshots(struct object *this, const GUID *copy, int kind, BOOL force, LONG *deleted, GUID *kept)
{
    (void)this, (void)copy, (void)kind, (void)force, (void)kept;
    *deleted = 1;
    return S_OK;
}

HRESULT WINAPI CreateVssBackupComponents(struct object **out)
{
    static void *methods[METHODS];
    struct object *made;

    if (!methods[QUERY])
    {
        for (int i = METHODS - 1; i > QUERY; i--) methods[i] = not_there;
        methods[ADD] = add;
        methods[RELEASE] = release;
        methods[INITIALIZE_FOR_BACKUP] = methods[SET_BACKUP_STATE] = methods[ABORT_BACKUP] = methods[SET_CONTEXT] = good;
        methods[GATHER_WRITER_METADATA] = methods[PREPARE_FOR_BACKUP] = methods[BACKUP_COMPLETE] = finished;
        methods[START_SNAPSHOT_SET] = start_snapshot_set;
        methods[ADD_TO_SNAPSHOT_SET] = add_to_snapshot_set;
        methods[DO_SNAPSHOT_SET] = do_snapshot_set;
        methods[DELETE_SNAPSHOTS] = delete_snapshots;
        methods[GET_SNAPSHOT_PROPERTIES] = get_snapshot_properties;
        methods[IS_VOLUME_SUPPORTED] = is_volume_supported;
        methods[QUERY] = query;
    }
    made = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *made);
    made->methods = methods;
    made->references = 1;
    *out = made;
    return S_OK;
}

void WINAPI VssFreeSnapshotProperties(struct properties *properties)
{
    CoTaskMemFree(properties->device);
    CoTaskMemFree(properties->volume);
    properties->device = properties->volume = NULL;
}
