/* What the machine takes without saying so: a loop that only looks at the clocks, for so many seconds. A gap between two
 * looks that the kernel counts as this thread's own processor time is an interrupt or a hypervisor that lent the core to
 * others; any other gap is another thread here. Prints both as JSON: how many gaps beyond 0.2 ms, and the longest, ms. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GAP INT64_C(200000)

typedef struct {
    int count;
    int64_t longest;
} Gaps;

static int64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int main(int argc, char **argv)
{
    int64_t time = now(CLOCK_MONOTONIC), worked = now(CLOCK_THREAD_CPUTIME_ID);
    int64_t end = time + (argc > 1 ? atoi(argv[1]) : 1) * INT64_C(1000000000);
    Gaps own = {0}, others = {0};
    while (time < end) {
        int64_t worked_now = now(CLOCK_THREAD_CPUTIME_ID), time_now = now(CLOCK_MONOTONIC);
        int64_t gap = time_now - time;
        if (gap > GAP) {
            Gaps *gaps = worked_now - worked > gap * 8 / 10 ? &own : &others;
            gaps->count++;
            if (gap > gaps->longest)
                gaps->longest = gap;
        }
        time = time_now;
        worked = worked_now;
    }
    printf("{\"own\": {\"gaps\": %d, \"longest\": %.3f}, \"others\": {\"gaps\": %d, \"longest\": %.3f}}\n", own.count,
           (double)own.longest / 1e6, others.count, (double)others.longest / 1e6);
    return 0;
}
