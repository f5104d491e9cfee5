/* The media thread, the sockets it reads, and the commands that Python gives.
 *
 * Every leg has its turn once in 20 ms, in one of four slots of 5 ms; then its socket is read and one packet sent.
 * Only bridged legs are waited for, so that what one side says reaches the other when it arrives. A slot that comes
 * late is run late; four or more late slots are left out, or a leg would send two packets at once. */
#define _GNU_SOURCE
#include "core.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    LEGS_MAX = 1 << 16,
    READY_MAX = 64,     /* sockets served after one wake-up */
    PACKETS_AT_ONCE = 8,
    ROUNDS_MAX = 8,     /* a flood at one port costs its turn no more than 64 packets */
    PRIORITY = 10,
    EXPEDITED_FORWARDING = 46 << 2, /* RFC 4594: telephony */
};

#define TIMER UINT64_MAX
#define RTCP_FLAG (UINT64_C(1) << 63)

/* What one recvmmsg() fills. */
typedef struct {
    struct mmsghdr headers[PACKETS_AT_ONCE];
    struct iovec vectors[PACKETS_AT_ONCE];
    Address from[PACKETS_AT_ONCE];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control[PACKETS_AT_ONCE];
    uint8_t bytes[PACKETS_AT_ONCE][PACKET_MAX];
} Inbox;

static int64_t clock_now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

int64_t monotonic_now(void) { return clock_now(CLOCK_MONOTONIC); }

uint64_t random_next(Engine *engine)
{
    engine->random ^= engine->random << 13;
    engine->random ^= engine->random >> 7;
    engine->random ^= engine->random << 17;
    return engine->random;
}

void leg_heard(Engine *engine, Leg *leg, int64_t now)
{
    leg->last_valid = now;
    if (leg->media_lost) {
        leg->media_lost = false;
        event_push(engine, leg, EVENT_MEDIA_BACK, 0, 0);
    }
}

/* The lock -------------------------------------------------------------------------------------------------------- */

void engine_lock_for_command(Engine *engine)
{
    int64_t since = monotonic_now();
    atomic_fetch_add(&engine->waiting, 1);
    engine_lock(engine);
    atomic_fetch_sub(&engine->waiting, 1);
    int64_t waited = monotonic_now() - since;
    if (waited > engine->statistics.longest_wait_ns)
        engine->statistics.longest_wait_ns = waited;
}

static void hold(Engine *engine)
{
    engine_lock(engine);
    engine->held_since = monotonic_now();
}

static void let_go(Engine *engine)
{
    int64_t held = monotonic_now() - engine->held_since;
    if (held > engine->statistics.longest_hold_ns)
        engine->statistics.longest_hold_ns = held;
    engine_unlock(engine);
}

/* Between two legs of the media thread: nobody waits for more than one leg's turn. */
static void make_way(Engine *engine)
{
    if (!atomic_load_explicit(&engine->waiting, memory_order_relaxed))
        return;
    engine->statistics.made_way++;
    let_go(engine);
    hold(engine);
}

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

static void leg_read(Engine *engine, Leg *leg, bool rtcp, Inbox *inbox, int64_t now)
{
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
                leg_receive_rtp(engine, leg, inbox->bytes[i], size, &inbox->from[i], arrival_of(engine, header, now),
                                now);
        }
        if (count > 0)
            inbox_clear(inbox, count);
    }
}

/* The thread ------------------------------------------------------------------------------------------------------ */

static void watch_for_loss(Engine *engine, Leg *leg, int64_t now)
{
    if (engine->media_timeout && leg->has_remote && leg->remote.receive && !leg->media_lost
        && now - leg->last_valid > engine->media_timeout) {
        leg->media_lost = true;
        event_push(engine, leg, EVENT_MEDIA_LOST, 0, 0);
    }
}

static void listen_to(Engine *engine, Leg *leg)
{
    Listener *listener = leg->listener;
    if (!listener || !listener->running)
        return;
    int before = listener->filled;
    listener_take(listener, listener->chunk + before, leg->tick);
    listener->filled += leg->tick;
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
}

static void leg_turn(Engine *engine, Leg *leg, Inbox *inbox, int64_t due)
{
    int64_t now = monotonic_now();
    if (!leg->peer)
        leg_read(engine, leg, false, inbox, now);
    listen_to(engine, leg);
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
    /* Backwards: closing a leg moves the last one into its place, and that one has had its turn. */
    for (int i = bucket->count - 1; i >= 0; i--) {
        if (i >= bucket->count)
            continue;
        Leg *leg = &engine->legs[bucket->legs[i]];
        if (leg->last_slot == engine->slot)
            continue;
        leg->last_slot = engine->slot;
        leg_turn(engine, leg, inbox, engine->due);
        make_way(engine);
    }
}

static void run_due_slots(Engine *engine, Inbox *inbox)
{
    int64_t now = monotonic_now();
    if (now < engine->due)
        return;
    engine->realtime_offset = clock_now(CLOCK_REALTIME) - now;
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

static Leg *leg_of(Engine *engine, int64_t id)
{
    if (id < 0 || id % LEGS_MAX >= engine->max_legs)
        return NULL;
    Leg *leg = &engine->legs[id % LEGS_MAX];
    return leg->open && leg->id == id ? leg : NULL;
}

static void serve(Engine *engine, const struct epoll_event *ready, int count, Inbox *inbox)
{
    int64_t now = monotonic_now();
    for (int i = 0; i < count; i++) {
        uint64_t token = ready[i].data.u64;
        if (token == TIMER) {
            /* A periodic timer goes on only once it has been read; how often it went off does not matter. */
            uint64_t expirations;
            (void)!read(engine->timer_fd, &expirations, sizeof expirations);
            continue;
        }
        Leg *leg = leg_of(engine, (int64_t)(token & ~RTCP_FLAG));
        if (leg) {
            leg_read(engine, leg, token & RTCP_FLAG, inbox, now);
            make_way(engine);
        }
    }
}

static void ask_for_realtime(Engine *engine)
{
    /* Ordinary threads are woken up to 50 us late. */
    prctl(PR_SET_TIMERSLACK, 1);
    struct sched_param parameters = {.sched_priority = PRIORITY};
    bool granted = engine->ask_realtime && !pthread_setschedparam(pthread_self(), SCHED_RR, &parameters);
    engine_lock(engine);
    engine->statistics.realtime = granted;
    engine_unlock(engine);
}

static void *media_thread(void *argument)
{
    Engine *engine = argument;
    struct epoll_event ready[READY_MAX];
    Inbox *inbox = malloc(sizeof *inbox);
    if (!inbox)
        return NULL;
    inbox_clear(inbox, PACKETS_AT_ONCE);
    ask_for_realtime(engine);
    while (!atomic_load(&engine->stop)) {
        int count = epoll_wait(engine->epoll_fd, ready, READY_MAX, -1);
        hold(engine);
        engine->statistics.wake_ups++;
        serve(engine, ready, count, inbox);
        run_due_slots(engine, inbox);
        events_signal(engine);
        let_go(engine);
    }
    free(inbox);
    return NULL;
}

/* The engine's life ----------------------------------------------------------------------------------------------- */

static void make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    /* A command that is preempted with the lock in hand would keep the media thread from its slot. */
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (pthread_mutex_init(mutex, &attributes))
        pthread_mutex_init(mutex, NULL);
    pthread_mutexattr_destroy(&attributes);
}

static bool watch(Engine *engine, int fd, uint64_t token)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = token};
    return !epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static bool allocate(Engine *engine)
{
    size_t legs = (size_t)engine->max_legs;
    if (!(engine->legs = calloc(legs, sizeof *engine->legs)) || !(engine->free_legs = calloc(legs, sizeof(int))))
        return false;
    for (int i = 0; i < SLOTS; i++)
        if (!(engine->buckets[i].legs = calloc(legs, sizeof(int))))
            return false;
    /* The lowest come out first. */
    for (int i = engine->max_legs - 1; i >= 0; i--)
        engine->free_legs[engine->free_count++] = i;
    return events_allocate(engine);
}

Engine *media_engine_new(const char *address, int max_legs, double media_timeout_s, int send_silence, int realtime)
{
    Engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    static pthread_once_t tables = PTHREAD_ONCE_INIT;
    pthread_once(&tables, g711_initialise);
    make_mutex(&engine->gate);
    make_mutex(&engine->mutex);
    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    engine->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    engine->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    engine->max_legs = max_legs < 1 ? 1 : max_legs > LEGS_MAX ? LEGS_MAX : max_legs;
    engine->media_timeout = media_timeout_s > 0 ? (int64_t)(media_timeout_s * SECOND) : 0;
    engine->send_silence = send_silence;
    engine->ask_realtime = realtime;
    engine->realtime_offset = clock_now(CLOCK_REALTIME) - monotonic_now();
    if (getrandom(&engine->random, sizeof engine->random, 0) != sizeof engine->random || !engine->random)
        engine->random = (uint64_t)monotonic_now() | 1;
    int problem = 0;
    if (!address_parse(address, 0, &engine->address))
        problem = EINVAL;
    else if (engine->epoll_fd < 0 || engine->timer_fd < 0 || engine->event_fd < 0)
        problem = EMFILE;
    else if (!allocate(engine) || !watch(engine, engine->timer_fd, TIMER))
        problem = ENOMEM;
    if (problem) {
        media_engine_free(engine);
        errno = problem;
        return NULL;
    }
    return engine;
}

int media_engine_start(Engine *engine)
{
    struct itimerspec every = {.it_interval = {0, SLOT}, .it_value = {0, SLOT}};
    engine->due = monotonic_now() + SLOT;
    if (timerfd_settime(engine->timer_fd, 0, &every, NULL))
        return -errno;
    int problem = pthread_create(&engine->thread, NULL, media_thread, engine);
    engine->running = !problem;
    return -problem;
}

void media_engine_stop(Engine *engine)
{
    atomic_store(&engine->stop, true);
    if (engine->running)
        pthread_join(engine->thread, NULL);
    engine->running = false;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void media_engine_free(Engine *engine)
{
    media_engine_stop(engine);
    for (int i = 0; engine->legs && i < engine->max_legs; i++)
        if (engine->legs[i].open)
            media_leg_close(engine, engine->legs[i].id, NULL);
    close_fd(engine->epoll_fd);
    close_fd(engine->timer_fd);
    close_fd(engine->event_fd);
    for (int i = 0; i < SLOTS; i++)
        free(engine->buckets[i].legs);
    free(engine->free_legs);
    free(engine->legs);
    events_free(engine);
    pthread_mutex_destroy(&engine->mutex);
    pthread_mutex_destroy(&engine->gate);
    free(engine);
}

int media_abi(void) { return MEDIA_ABI; }

int media_engine_event_fd(const Engine *engine) { return engine->event_fd; }

void media_engine_statistics(Engine *engine, MediaEngineStatistics *out)
{
    engine_lock_for_command(engine);
    *out = engine->statistics;
    engine_unlock(engine);
}

/* Turns ----------------------------------------------------------------------------------------------------------- */

static void bucket_add(Engine *engine, int bucket, Leg *leg)
{
    Bucket *to = &engine->buckets[bucket];
    leg->position[bucket != leg->phase] = to->count;
    to->legs[to->count++] = (int)(leg - engine->legs);
}

static void bucket_remove(Engine *engine, int bucket, Leg *leg)
{
    Bucket *from = &engine->buckets[bucket];
    int position = leg->position[bucket != leg->phase];
    Leg *last = &engine->legs[from->legs[--from->count]];
    from->legs[position] = (int)(last - engine->legs);
    last->position[bucket != last->phase] = position;
}

static bool twice(const Leg *leg) { return leg->tick < FRAME; }

static void turns_end(Engine *engine, Leg *leg)
{
    bucket_remove(engine, leg->phase, leg);
    if (twice(leg))
        bucket_remove(engine, (leg->phase + 2) % SLOTS, leg);
}

static void turns_begin(Engine *engine, Leg *leg, int ptime_ms)
{
    leg->packet_samples = ptime_ms * SAMPLES_PER_MS;
    leg->tick = leg->packet_samples % FRAME ? FRAME / 2 : FRAME;
    leg->phase = 0;
    for (int i = 1; i < SLOTS; i++)
        if (engine->buckets[i].count < engine->buckets[leg->phase].count)
            leg->phase = i;
    leg->waited = leg->packet_samples - leg->tick;
    leg->last_slot = -1;
    bucket_add(engine, leg->phase, leg);
    if (twice(leg))
        bucket_add(engine, (leg->phase + 2) % SLOTS, leg);
}

/* Commands -------------------------------------------------------------------------------------------------------- */

static Leg *lock_leg(Engine *engine, int64_t id)
{
    engine_lock_for_command(engine);
    Leg *leg = leg_of(engine, id);
    if (!leg)
        engine_unlock(engine);
    return leg;
}

static int unlock(Engine *engine)
{
    events_signal(engine);
    engine_unlock(engine);
    return 0;
}

static int open_socket(const Engine *engine, int port, bool stamped)
{
    Address address = engine->address;
    int family = address.any.sa_family, on = 1, service = EXPEDITED_FORWARDING;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    /* Neither of these is worth failing for. */
    if (stamped)
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, family == AF_INET6 ? IPV6_TCLASS : IP_TOS, &service,
               sizeof service);
    address_set_port(&address, port);
    if (bind(fd, &address.any, address_size(&address))) {
        int problem = -errno;
        close(fd);
        return problem;
    }
    return fd;
}

typedef struct {
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
    uint8_t name[12]; /* RFC 7022 4.2: 96 bits */
} Chance;

static void leg_begin(Engine *engine, Leg *leg, int index, int rtp_fd, int rtcp_fd, const Chance *chance)
{
    int64_t generation = leg->id / LEGS_MAX + 1;
    *leg = (Leg){.open = true, .rtp_fd = rtp_fd, .rtcp_fd = rtcp_fd, .id = generation * LEGS_MAX + index};
    leg->out.ssrc = chance->ssrc;
    leg->out.next_sequence = chance->sequence;
    leg->out.next_timestamp = leg->out.sent_timestamp = chance->timestamp;
    leg->out.sent_time = monotonic_now();
    leg->statistics.round_trip_ms = -1;
    for (size_t i = 0; i < sizeof chance->name; i++)
        snprintf(leg->rtcp.cname + 2 * i, 3, "%02x", chance->name[i]);
    turns_begin(engine, leg, 20);
    engine->statistics.legs++;
}

int64_t media_leg_open(Engine *engine, int port)
{
    Chance chance;
    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        return -EIO;
    int rtp_fd = open_socket(engine, port, true);
    if (rtp_fd < 0)
        return rtp_fd;
    int rtcp_fd = open_socket(engine, port + 1, false);
    if (rtcp_fd < 0) {
        close(rtp_fd);
        return rtcp_fd;
    }
    int64_t id = -EUSERS;
    engine_lock_for_command(engine);
    if (engine->free_count) {
        int index = engine->free_legs[--engine->free_count];
        Leg *leg = &engine->legs[index];
        leg_begin(engine, leg, index, rtp_fd, rtcp_fd, &chance);
        id = leg->id;
        watch(engine, rtcp_fd, (uint64_t)id | RTCP_FLAG);
    }
    engine_unlock(engine);
    if (id < 0) {
        close(rtp_fd);
        close(rtcp_fd);
    }
    return id;
}

static void fill_statistics(const Leg *leg, MediaLegStatistics *out)
{
    *out = leg->statistics;
    out->lost = leg->reception.lost_before + reception_lost(&leg->reception);
    out->jitter_ms = leg->reception.jitter / SAMPLES_PER_MS;
    out->audio_sent_ms = leg->samples_sent / SAMPLES_PER_MS;
    out->audio_received_ms = leg->samples_received / SAMPLES_PER_MS;
}

static void part(Engine *engine, Leg *leg)
{
    if (!leg->peer)
        return;
    Leg *both[2] = {leg, leg->peer};
    for (int i = 0; i < 2; i++) {
        epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, both[i]->rtp_fd, NULL);
        both[i]->peer = NULL;
        both[i]->forward.based = false;
    }
}

int media_leg_close(Engine *engine, int64_t id, MediaLegStatistics *out)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    int rtp_fd = leg->rtp_fd, rtcp_fd = leg->rtcp_fd;
    void *spans = leg->play.spans, *listener = leg->listener;
    part(engine, leg);
    play_end(engine, leg, false);
    rtcp_send(engine, leg, monotonic_now(), true);
    if (out)
        fill_statistics(leg, out);
    turns_end(engine, leg);
    leg->open = false;
    engine->free_legs[engine->free_count++] = (int)(leg - engine->legs);
    engine->statistics.legs--;
    unlock(engine);
    close(rtp_fd);
    close(rtcp_fd);
    free(spans);
    free(listener);
    return 0;
}

int media_leg_statistics(Engine *engine, int64_t id, MediaLegStatistics *out)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    fill_statistics(leg, out);
    return unlock(engine);
}

int media_leg_set_remote(Engine *engine, int64_t id, const MediaRemote *remote)
{
    Address signalled, rtcp;
    if (!address_parse(remote->address, remote->port, &signalled)
        || signalled.any.sa_family != engine->address.any.sa_family || remote->ptime_ms < 10 || remote->ptime_ms > 60
        || remote->ptime_ms % 10)
        return -EINVAL;
    rtcp = signalled;
    address_set_port(&rtcp, remote->rtcp_port);
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    int64_t now = monotonic_now();
    if (!leg->has_remote || !address_equal(&signalled, &leg->signalled))
        leg_move(leg, &signalled, &rtcp, now);
    if (!leg->has_remote)
        rtcp_schedule(engine, leg, now, true);
    if (!leg->has_remote || (remote->receive && !leg->remote.receive))
        leg->last_valid = now;
    leg->has_remote = true;
    leg->remote = *remote;
    leg->forward.based = false;
    if (remote->ptime_ms * SAMPLES_PER_MS != leg->packet_samples) {
        turns_end(engine, leg);
        turns_begin(engine, leg, remote->ptime_ms);
        /* Chunks and tones count in ticks. */
        if (leg->listener)
            leg->listener->filled = 0;
    }
    return unlock(engine);
}

int media_leg_play(Engine *engine, int64_t id, int64_t play_id, const uint8_t *const *clips, const size_t *sizes,
                   int count, int loop)
{
    Span *spans = calloc((size_t)count + 1, sizeof *spans);
    if (!spans)
        return -ENOMEM;
    int used = 0;
    for (int i = 0; i < count; i++)
        if (sizes[i])
            spans[used++] = (Span){clips[i], sizes[i]};
    Leg *leg = lock_leg(engine, id);
    if (!leg) {
        free(spans);
        return -ENOENT;
    }
    Span *before = leg->play.spans;
    play_end(engine, leg, false);
    leg->play = (Play){.active = true, .loop = loop, .id = play_id, .spans = spans, .count = used};
    if (!used)
        play_end(engine, leg, true);
    unlock(engine);
    free(before);
    return 0;
}

int media_leg_stop_playing(Engine *engine, int64_t id)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    play_end(engine, leg, false);
    return unlock(engine);
}

int media_leg_send_keys(Engine *engine, int64_t id, const char *keys, int duration_ms, int gap_ms)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    KeysOut *out = &leg->keys_out;
    int count = (int)strnlen(keys, KEYS_MAX + 1), problem = 0;
    if (out->count + count > KEYS_MAX)
        problem = -ENOBUFS;
    for (int i = 0; i < count && !problem; i++)
        if (key_code(keys[i]) < 0)
            problem = -EINVAL;
    for (int i = 0; i < count && !problem; i++) {
        int at = (out->head + out->count++) % KEYS_MAX;
        out->waiting[at] = keys[i];
        out->durations[at] = (uint16_t)(duration_ms * SAMPLES_PER_MS);
        out->gaps[at] = (uint16_t)(gap_ms * SAMPLES_PER_MS);
    }
    unlock(engine);
    return problem;
}

int media_leg_bridge(Engine *engine, int64_t id, int64_t other_id)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    Leg *other = leg_of(engine, other_id);
    if (!other || other == leg) {
        unlock(engine);
        return -ENOENT;
    }
    if (leg->peer != other) {
        part(engine, leg);
        part(engine, other);
        leg->peer = other;
        other->peer = leg;
        watch(engine, leg->rtp_fd, (uint64_t)leg->id);
        watch(engine, other->rtp_fd, (uint64_t)other->id);
    }
    return unlock(engine);
}

int media_leg_unbridge(Engine *engine, int64_t id)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    part(engine, leg);
    return unlock(engine);
}

typedef enum { DELIVER, DETECT } Use;

static int listen_for(Engine *engine, int64_t id, Use use, bool on)
{
    Listener *fresh = on ? calloc(1, sizeof *fresh) : NULL, *spare = fresh;
    if (on && !fresh)
        return -ENOMEM;
    if (fresh)
        listener_reset(fresh);
    Leg *leg = lock_leg(engine, id);
    if (leg) {
        if (on && !leg->listener) {
            leg->listener = fresh;
            spare = NULL;
        }
        Listener *listener = leg->listener;
        if (listener) {
            *(use == DELIVER ? &listener->deliver : &listener->detect) = on;
            if (!listener->deliver && !listener->detect) {
                spare = listener;
                leg->listener = NULL;
            }
        }
        unlock(engine);
    }
    free(spare);
    return leg ? 0 : -ENOENT;
}

int media_leg_listen(Engine *engine, int64_t id, int on) { return listen_for(engine, id, DELIVER, on); }

int media_leg_detect_inband_keys(Engine *engine, int64_t id, int on) { return listen_for(engine, id, DETECT, on); }
