// Options of jemalloc for the daemon and for what is measured (jemalloc(3), TUNING); MALLOC_CONF in the environment goes
// before them.
//
// Huge pages. What a file system in memory holds is touched once per page of the machine, and each of those faults costs more
// than the copy of 4 KiB that follows; pages are then read in any order, each by an entry of its own in the
// processor's table of addresses. Where the system has no huge pages to give (never) nothing changes.
// A minute. Memory that is free goes back to the system after so long instead of ten seconds, for what is given back is
// faulted in again by the next file, in small pages.
//
// Costs memory: each thread that allocates begins with 2 MiB.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "thp:always,dirty_decay_ms:60000";
}
