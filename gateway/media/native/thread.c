/* The media thread: the sockets it reads, and whose turn it is.
 *
 * Every leg has its turn once in 20 ms, in one of four slots of 5 ms; then its socket is read and one packet sent.
 * Only bridged legs are waited for, so that what one side says reaches the other when it arrives. A slot that comes
 * late is run late; four or more late slots are left out, or a leg would send two packets at once. */
#define _GNU_SOURCE
#include "core.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    READY_MAX = 64,     /* sockets served after one wake-up */
    PACKETS_AT_ONCE = 8,
    ROUNDS_MAX = 8,     /* a flood at one port costs its turn no more than 64 packets, */
    WAKES_MAX = 8,      /* and one that is waited for no more than this many times that until its turn */
    PRIORITY = 10,
};

/* What one recvmmsg() fills. */
struct Inbox {
    struct mmsghdr headers[PACKETS_AT_ONCE];
    struct iovec vectors[PACKETS_AT_ONCE];
    Address from[PACKETS_AT_ONCE];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control[PACKETS_AT_ONCE];
    uint8_t bytes[PACKETS_AT_ONCE][PACKET_MAX];
};

/* Reading --------------------------------------------------------------------------------------------------------- */

static void inbox_clear(Inbox *inbox, int count)
{
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &inbox->headers[i].msg_hdr;
        inbox->vectors[i] = (struct iovec){inbox->bytes[i], PACKET_MAX};
        *header = (struct msghdr){
            .msg_name = &inbox->from[i],
            .msg_namelen = sizeof inbox->from[i],
            .msg_iov = &inbox->vectors[i],
            .msg_iovlen = 1,
            .msg_control = &inbox->control[i],
            .msg_controllen = sizeof inbox->control[i],
        };
    }
}

/* When the kernel took the packet in: turns are 20 ms apart, so the time of reading says nothing about jitter. */
static int64_t arrival_of(const Engine *engine, struct msghdr *header, int64_t now)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control))
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(control), sizeof stamp);
            return stamp.tv_sec * SECOND + stamp.tv_nsec - engine->realtime_offset;
        }
    return now;
}

/* False if a command has closed the leg meanwhile. */
static bool leg_read(Engine *engine, Leg *leg, bool rtcp, Inbox *inbox, int64_t now)
{
    int64_t id = leg->id;
    int count = PACKETS_AT_ONCE;
    for (int round = 0; round < ROUNDS_MAX && count == PACKETS_AT_ONCE; round++) {
        count = recvmmsg(rtcp ? leg->rtcp_fd : leg->rtp_fd, inbox->headers, PACKETS_AT_ONCE, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++) {
            struct msghdr *header = &inbox->headers[i].msg_hdr;
            size_t size = inbox->headers[i].msg_len;
            if (header->msg_flags & MSG_TRUNC)
                leg->statistics.malformed++;
            else if (rtcp)
                leg_receive_rtcp(engine, leg, inbox->bytes[i], size, &inbox->from[i], now);
            else
                leg_receive(engine, leg, inbox->bytes[i], size, &inbox->from[i], arrival_of(engine, header, now), now);
        }
        if (count > 0)
            inbox_clear(inbox, count);
        if (count == PACKETS_AT_ONCE) {
            now = engine_make_way(engine);
            if (leg_of(engine, id) != leg)
                return false;
        }
    }
    return true;
}

/* The thread ------------------------------------------------------------------------------------------------------ */

static void watch_for_loss(Engine *engine, Leg *leg, int64_t now)
{
    if (engine->media_timeout && leg->has_remote && leg->remote.receive && leg_may_receive(leg) && !leg->media_lost
        && now - leg->last_valid > engine->media_timeout) {
        leg->media_lost = true;
        event_push(engine, leg, EVENT_MEDIA_LOST, 0, 0);
    }
}

const int16_t *leg_hear(Engine *engine, Leg *leg, int samples)
{
    Listener *listener = leg->listener;
    if (!listener || !listener->running)
        return NULL;
    int16_t *sound = listener->chunk + listener->filled;
    listener_take(listener, sound, samples);
    listener->filled += samples;
    /* Tones are judged 20 ms at a time, whatever the tick. */
    if (listener->detect && leg->remote.telephone_event_in < 0 && listener->filled % FRAME == 0) {
        char key = tone_detect(&listener->tones, listener->chunk + listener->filled - FRAME);
        if (key)
            event_push(engine, leg, EVENT_KEY, key, 1);
    }
    if (listener->filled == CHUNK) {
        if (listener->deliver)
            event_push_sound(engine, leg, listener->chunk, CHUNK);
        listener->filled = 0;
    }
    return sound;
}

static void leg_turn(Engine *engine, Leg *leg, Inbox *inbox, int64_t due, int64_t now)
{
    if (!leg->peer && !leg_read(engine, leg, false, inbox, now))
        return;
    leg->wakes_left = WAKES_MAX;
    leg_watch(engine, leg);
    if (!leg->member)
        leg_hear(engine, leg, leg->tick);
    leg_send_due(engine, leg, due);
    if (!leg->has_remote)
        return;
    watch_for_loss(engine, leg, now);
    if (now >= leg->rtcp.next)
        rtcp_send(engine, leg, now, false);
}

static void run_slot(Engine *engine, Inbox *inbox)
{
    Bucket *bucket = &engine->buckets[engine->slot % SLOTS];
    mixes_run(engine);
    /* Backwards: closing a leg moves the last one into its place, and that one has had its turn. */
    for (int i = bucket->count - 1; i >= 0; i--) {
        int64_t now = engine_make_way(engine);
        if (i >= bucket->count)
            continue;
        Leg *leg = &engine->legs[bucket->legs[i]];
        if (leg->last_slot == engine->slot)
            continue;
        leg->last_slot = engine->slot;
        leg_turn(engine, leg, inbox, engine->due, now);
    }
}

static void run_due_slots(Engine *engine, Inbox *inbox)
{
    int64_t now = monotonic_now();
    if (now < engine->due)
        return;
    engine->realtime_offset = realtime_now() - now;
    int64_t waiting = 1 + (now - engine->due) / SLOT;
    if (waiting > SLOTS) {
        int64_t missed = waiting - SLOTS;
        engine->statistics.missed_slots += missed;
        engine->slot += missed;
        engine->due += missed * SLOT;
        waiting = SLOTS;
    }
    engine->statistics.late_slots += waiting - 1;
    for (; waiting; waiting--) {
        run_slot(engine, inbox);
        engine->slot++;
        engine->due += SLOT;
    }
}

static void serve(Engine *engine, const struct epoll_event *ready, int count, Inbox *inbox)
{
    for (int i = 0; i < count; i++) {
        uint64_t token = ready[i].data.u64;
        if (token == TIMER) {
            /* A periodic timer goes on only once it has been read; how often it went off does not matter. */
            uint64_t expirations;
            (void)!read(engine->timer_fd, &expirations, sizeof expirations);
            continue;
        }
        int64_t now = engine_make_way(engine);
        Leg *leg = leg_of(engine, (int64_t)(token & ~RTCP_FLAG));
        if (!leg)
            continue;
        if (leg->ice && !leg->peer && leg->wakes_left-- <= 0)
            leg_unwatch(engine, leg);
        leg_read(engine, leg, token & RTCP_FLAG, inbox, now);
    }
}

static void ask_for_realtime(Engine *engine)
{
    /* Ordinary threads are woken up to 50 us late. */
    prctl(PR_SET_TIMERSLACK, 1);
    struct sched_param parameters = {.sched_priority = PRIORITY};
    bool granted = engine->ask_realtime && !pthread_setschedparam(pthread_self(), SCHED_RR, &parameters);
    engine_hold(engine);
    engine->statistics.realtime = granted;
    engine_let_go(engine);
}

Inbox *inbox_new(void)
{
    Inbox *inbox = malloc(sizeof *inbox);
    if (inbox)
        inbox_clear(inbox, PACKETS_AT_ONCE);
    return inbox;
}

void media_round(Engine *engine, Inbox *inbox, const struct epoll_event *ready, int count)
{
    engine_hold(engine);
    engine->statistics.wake_ups++;
    serve(engine, ready, count, inbox);
    run_due_slots(engine, inbox);
    events_signal(engine);
    engine_let_go(engine);
}

void *media_thread(void *argument)
{
    Engine *engine = argument;
    struct epoll_event ready[READY_MAX];
    Inbox *inbox = inbox_new();
    if (!inbox)
        return NULL;
    ask_for_realtime(engine);
    while (!atomic_load(&engine->stop)) {
        int count = epoll_wait(engine->epoll_fd, ready, READY_MAX, -1);
        media_round(engine, inbox, ready, count);
    }
    free(inbox);
    return NULL;
}
