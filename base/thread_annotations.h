// Clang's thread-safety attributes (checked by the fuzz preset with -Wthread-safety).
#pragma once

#if defined(__clang__)
#define SCALEFS_TSA(x) __attribute__((x))
#else
#define SCALEFS_TSA(x)
#endif

#define CAPABILITY(x) SCALEFS_TSA(capability(x))
#define SCOPED_CAPABILITY SCALEFS_TSA(scoped_lockable)
#define GUARDED_BY(x) SCALEFS_TSA(guarded_by(x))
#define PT_GUARDED_BY(x) SCALEFS_TSA(pt_guarded_by(x))
#define REQUIRES(...) SCALEFS_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) SCALEFS_TSA(requires_shared_capability(__VA_ARGS__))
#define EXCLUDES(...) SCALEFS_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) SCALEFS_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) SCALEFS_TSA(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...) SCALEFS_TSA(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) SCALEFS_TSA(release_shared_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) SCALEFS_TSA(release_generic_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) SCALEFS_TSA(try_acquire_capability(__VA_ARGS__))
#define ASSERT_CAPABILITY(x) SCALEFS_TSA(assert_capability(x))
#define RETURN_CAPABILITY(x) SCALEFS_TSA(lock_returned(x))
#define NO_THREAD_SAFETY_ANALYSIS SCALEFS_TSA(no_thread_safety_analysis)
