/* The engine's life, and the commands that Python gives. */
#define _GNU_SOURCE
#include "core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    LEGS_MAX = 1 << 16,
    EXPEDITED_FORWARDING = 46 << 2, /* RFC 4594: telephony */
};

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

/* The engine's life ----------------------------------------------------------------------------------------------- */

static bool watch(Engine *engine, int fd, uint64_t token)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = token};
    return !epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

void leg_unwatch(Engine *engine, Leg *leg)
{
    epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, leg->rtp_fd, NULL);
    leg->watched = false;
}

void leg_watch(Engine *engine, Leg *leg)
{
    bool wanted = leg->peer || (leg->ice && !(leg->has_path && leg->srtp.send));
    if (wanted && !leg->watched)
        leg->watched = watch(engine, leg->rtp_fd, (uint64_t)leg->id);
    else if (!wanted && leg->watched)
        leg_unwatch(engine, leg);
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
    return mixes_allocate(engine) && events_allocate(engine);
}

Engine *media_engine_new(const char *address, int max_legs, double media_timeout_s, int send_silence, int realtime)
{
    Engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    static pthread_once_t tables = PTHREAD_ONCE_INIT;
    pthread_once(&tables, g711_initialise);
    engine_make_mutex(&engine->gate);
    engine_make_mutex(&engine->mutex);
    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    engine->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    engine->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    engine->max_legs = max_legs < 1 ? 1 : max_legs > LEGS_MAX ? LEGS_MAX : max_legs;
    engine->media_timeout = media_timeout_s > 0 ? (int64_t)(media_timeout_s * SECOND) : 0;
    engine->send_silence = send_silence;
    engine->ask_realtime = realtime;
    engine->realtime_offset = realtime_now() - monotonic_now();
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
    mixes_free(engine);
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
    engine_lock(engine);
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

Leg *leg_of(Engine *engine, int64_t id)
{
    if (id < 0 || id % LEGS_MAX >= engine->max_legs)
        return NULL;
    Leg *leg = &engine->legs[id % LEGS_MAX];
    return leg->open && leg->id == id ? leg : NULL;
}

static Leg *lock_leg(Engine *engine, int64_t id)
{
    engine_lock(engine);
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
    leg->codec = codec_at(CODEC_PCMU);
    leg->out.scale = leg->codec->scale;
    leg->statistics.round_trip_ms = -1;
    for (size_t i = 0; i < sizeof chance->name; i++)
        snprintf(leg->rtcp.cname + 2 * i, 3, "%02x", chance->name[i]);
    turns_begin(engine, leg, 20);
    engine->statistics.legs++;
}

static int64_t open_leg(Engine *engine, int port, bool ice)
{
    Chance chance;
    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        return -EIO;
    int rtp_fd = open_socket(engine, port, true), rtcp_fd = -1;
    if (rtp_fd < 0)
        return rtp_fd;
    if (!ice && (rtcp_fd = open_socket(engine, port + 1, false)) < 0) {
        close(rtp_fd);
        return rtcp_fd;
    }
    int64_t id = -EUSERS;
    engine_lock(engine);
    if (engine->free_count) {
        int index = engine->free_legs[--engine->free_count];
        Leg *leg = &engine->legs[index];
        leg_begin(engine, leg, index, rtp_fd, rtcp_fd, &chance);
        leg->ice = leg->srtp.required = ice;
        id = leg->id;
        if (ice)
            leg_watch(engine, leg);
        else
            watch(engine, rtcp_fd, (uint64_t)id | RTCP_FLAG);
    }
    engine_unlock(engine);
    if (id < 0) {
        close(rtp_fd);
        close_fd(rtcp_fd);
    }
    return id;
}

int64_t media_leg_open(Engine *engine, int port) { return open_leg(engine, port, false); }

int64_t media_leg_open_ice(Engine *engine, int port) { return open_leg(engine, port, true); }

static void fill_statistics(const Leg *leg, MediaLegStatistics *out)
{
    *out = leg->statistics;
    out->lost = leg->reception.lost_before + reception_lost(&leg->reception);
    out->jitter_ms = leg->reception.jitter / (SAMPLES_PER_MS * leg->codec->scale);
    out->audio_sent_ms = leg->samples_sent / SAMPLES_PER_MS;
    out->audio_received_ms = leg->samples_received / SAMPLES_PER_MS;
}

void leg_part(Engine *engine, Leg *leg)
{
    if (!leg->peer)
        return;
    Leg *both[2] = {leg, leg->peer};
    for (int i = 0; i < 2; i++) {
        both[i]->peer = NULL;
        both[i]->forward.based = false;
        leg_watch(engine, both[i]);
    }
}

int media_leg_close(Engine *engine, int64_t id, MediaLegStatistics *out)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    int rtp_fd = leg->rtp_fd, rtcp_fd = leg->rtcp_fd;
    LegSrtp srtp = leg->srtp;
    Member *member = mix_leave(leg);
    void *spans = leg->play.spans, *listener = leg->listener, *coder = leg->coder;
    const Codec *codec = leg->codec;
    leg_part(engine, leg);
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
    close_fd(rtcp_fd);
    srtp_forget(&srtp);
    free(spans);
    free(listener);
    member_free(member);
    if (coder)
        codec->close(coder);
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

/* From now on the leg speaks the codec, with this coder. Returns the one to be freed when the engine is unlocked. */
static void *take_codec(Leg *leg, const Codec *codec, void *coder, int64_t now)
{
    if (leg->codec == codec && (leg->coder || !codec->open))
        return coder;
    void *former = leg->coder;
    /* Timestamps, and what is counted in them, have another unit. */
    if (leg->codec->scale != codec->scale) {
        leg->reception.transit_known = false;
        leg->reception.jitter = 0;
        leg->keys_in = (KeysIn){0};
        leg->out.sent_timestamp = stream_clock(&leg->out, now);
        leg->out.sent_time = now;
        leg->keys_out.timestamp = leg->out.next_timestamp - leg->keys_out.elapsed * (uint32_t)codec->scale;
        if (leg->peer)
            leg->peer->forward.based = false;
        if (leg->listener)
            leg->listener->running = false;
    }
    leg->codec = codec;
    leg->coder = coder;
    leg->out.scale = codec->scale;
    leg->decoding = (Decoding){.paid_until = leg->decoding.paid_until};
    leg->encoder_behind = false;
    return former;
}

int media_leg_set_remote(Engine *engine, int64_t id, const MediaRemote *remote)
{
    Address signalled, rtcp;
    bool reachable = address_parse(remote->address, remote->port, &signalled)
                     && signalled.any.sa_family == engine->address.any.sa_family;
    if (remote->ptime_ms < 10 || remote->ptime_ms > 60 || remote->ptime_ms % 10)
        return -EINVAL;
    rtcp = signalled;
    address_set_port(&rtcp, remote->rtcp_port);
    const Codec *codec = codec_at(remote->codec), *former;
    if (!codec)
        return -EINVAL;
    void *coder = codec->open ? codec->open() : NULL;
    if (codec->open && !coder)
        return -ENOMEM;
    Leg *leg = lock_leg(engine, id);
    if (!leg) {
        if (coder)
            codec->close(coder);
        return -ENOENT;
    }
    if (!reachable && !leg->ice) {
        unlock(engine);
        if (coder)
            codec->close(coder);
        return -EINVAL;
    }
    int64_t now = monotonic_now();
    former = leg->codec;
    coder = take_codec(leg, codec, coder, now);
    if (!leg->ice && (!leg->has_remote || !address_equal(&signalled, &leg->signalled)))
        leg_move(leg, &signalled, &rtcp, now);
    if (!leg->has_remote)
        rtcp_schedule(engine, leg, now, true);
    if (!leg->has_remote || (remote->receive && !leg->remote.receive))
        leg->last_valid = now;
    leg->has_remote = true;
    leg->remote = *remote;
    leg->remote.rtcp_mux |= leg->ice;
    leg->forward.based = false;
    if (remote->ptime_ms * SAMPLES_PER_MS != leg->packet_samples) {
        turns_end(engine, leg);
        turns_begin(engine, leg, remote->ptime_ms);
        /* Chunks and tones count in ticks. */
        if (leg->listener)
            leg->listener->filled = 0;
    }
    unlock(engine);
    if (coder)
        former->close(coder);
    return 0;
}

int media_leg_expect(Engine *engine, int64_t id)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    leg->last_valid = monotonic_now();
    leg->media_lost = false;
    return unlock(engine);
}

/* Of clips that are not empty; NULL without memory. */
static Span *spans_of(const uint8_t *const *clips, const size_t *sizes, int count, int *used)
{
    Span *spans = calloc((size_t)count + 1, sizeof *spans);
    *used = 0;
    for (int i = 0; spans && i < count; i++)
        if (sizes[i])
            spans[(*used)++] = (Span){clips[i], sizes[i]};
    return spans;
}

int media_leg_play(Engine *engine, int64_t id, int64_t play_id, const uint8_t *const *clips, const size_t *sizes,
                   int count, int then)
{
    int used;
    Span *spans = spans_of(clips, sizes, count, &used);
    if (!spans)
        return -ENOMEM;
    Leg *leg = lock_leg(engine, id);
    if (!leg) {
        free(spans);
        return -ENOENT;
    }
    Span *before = leg->play.spans;
    play_end(engine, leg, false);
    leg->play = (Play){.active = true, .then = then, .id = play_id, .spans = spans, .count = used};
    if (!used && then != THEN_WAIT)
        play_end(engine, leg, true);
    unlock(engine);
    free(before);
    return 0;
}

int media_leg_extend_play(Engine *engine, int64_t id, int64_t play_id, const uint8_t *const *clips,
                          const size_t *sizes, int count, int then)
{
    int used;
    Span *spans = spans_of(clips, sizes, count, &used);
    if (!spans)
        return -ENOMEM;
    Leg *leg = lock_leg(engine, id);
    if (!leg) {
        free(spans);
        return -ENOENT;
    }
    Play *play = &leg->play;
    if (!play->active || play->id != play_id || play->then != THEN_WAIT || used < play->count) {
        unlock(engine);
        free(spans);
        return -ESRCH;
    }
    Span *before = play->spans;
    play->spans = spans;
    play->count = used;
    play->then = then;
    /* All of it was heard before it was known that nothing follows. */
    if (play->at == used && then != THEN_WAIT)
        play_end(engine, leg, true);
    unlock(engine);
    free(before);
    return 0;
}

int media_leg_await(Engine *engine, int64_t id, int milliseconds)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    if (!leg->play.active)
        leg->patience = milliseconds * SAMPLES_PER_MS;
    return unlock(engine);
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
    Member *members[2] = {mix_leave(leg), mix_leave(other)};
    if (leg->peer != other) {
        leg_part(engine, leg);
        leg_part(engine, other);
        leg->peer = other;
        other->peer = leg;
        leg_watch(engine, leg);
        leg_watch(engine, other);
    }
    unlock(engine);
    member_free(members[0]);
    member_free(members[1]);
    return 0;
}

int media_leg_unbridge(Engine *engine, int64_t id)
{
    Leg *leg = lock_leg(engine, id);
    if (!leg)
        return -ENOENT;
    leg_part(engine, leg);
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
            if (!listener_wanted(listener)) {
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
