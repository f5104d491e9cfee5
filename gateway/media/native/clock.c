/* The clocks, in a file of their own: a test links its own time in their place. */
#include "core.h"

#include <time.h>

static int64_t clock_now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

int64_t monotonic_now(void) { return clock_now(CLOCK_MONOTONIC); }

int64_t realtime_now(void) { return clock_now(CLOCK_REALTIME); }

int64_t worked_now(void) { return clock_now(CLOCK_THREAD_CPUTIME_ID); }
