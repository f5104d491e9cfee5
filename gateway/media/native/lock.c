/* Who has the engine to himself, for how long, and how long the others wait for it.
 *
 * The media thread holds the mutex while it works and lets go of it at least every HOLD, at points where it has no leg
 * in hand; commands hold it for the few microseconds that they take. Whoever waits for the mutex holds the gate, so
 * that a media thread that lets go of the mutex gets it back only after him: without it a real-time thread takes it
 * back before a command has woken up. */
#include "core.h"

void engine_make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    /* A command that is preempted with the lock in hand would keep the media thread from its slot. */
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (pthread_mutex_init(mutex, &attributes))
        pthread_mutex_init(mutex, NULL);
    pthread_mutexattr_destroy(&attributes);
}

static void take(Engine *engine)
{
    pthread_mutex_lock(&engine->gate);
    pthread_mutex_lock(&engine->mutex);
    pthread_mutex_unlock(&engine->gate);
}

static void keep_longest(int64_t *longest, int64_t time)
{
    if (time > *longest)
        *longest = time;
}

void engine_lock(Engine *engine)
{
    MediaEngineStatistics *statistics = &engine->statistics;
    int64_t asked = monotonic_now(), kept_out = 0;
    if (pthread_mutex_trylock(&engine->mutex)) {
        /* Before that this thread may have been off its core, after the media thread has let go it may be slow to wake
         * up, or another command was first. */
        int64_t found_held = monotonic_now();
        take(engine);
        if (engine->let_go_at > found_held)
            kept_out = engine->let_go_at - found_held;
    }
    int64_t waited = monotonic_now() - asked;
    statistics->commands++;
    statistics->waited_ns += waited;
    statistics->kept_out_ns += kept_out;
    keep_longest(&statistics->longest_wait_ns, waited);
    keep_longest(&statistics->longest_kept_out_ns, kept_out);
}

void engine_unlock(Engine *engine) { pthread_mutex_unlock(&engine->mutex); }

void engine_hold(Engine *engine)
{
    take(engine);
    engine->held_since = monotonic_now();
    engine->worked_since = worked_now();
}

void engine_let_go(Engine *engine)
{
    MediaEngineStatistics *statistics = &engine->statistics;
    engine->let_go_at = monotonic_now();
    int64_t held = engine->let_go_at - engine->held_since;
    keep_longest(&statistics->longest_hold_ns, held);
    /* The processor's time is a system call away and never more than has passed. */
    if (held > statistics->longest_work_ns)
        keep_longest(&statistics->longest_work_ns, worked_now() - engine->worked_since);
    pthread_mutex_unlock(&engine->mutex);
}

int64_t engine_make_way(Engine *engine)
{
    int64_t now = monotonic_now();
    if (now - engine->held_since < HOLD)
        return now;
    engine_let_go(engine);
    engine_hold(engine);
    return engine->held_since;
}
