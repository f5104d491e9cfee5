/* The engine at work under ThreadSanitizer: packets come in, bursts of them too, while six threads give commands for
 * two seconds, two of them to legs with ICE. LIBSRTP names the library for these. */
#include "../../../gateway/media/native/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CALLERS = 4, THREADS = 6, PORTS_EACH = 200, SECONDS = 2, FLOOD = 24 };

static Engine *engine;
static int64_t mix;
static int first_port;

static int64_t open_leg(int thread)
{
    static _Thread_local int turn;
    int64_t id = -1;
    while (id < 0) {
        int port = first_port + 2 * (thread * PORTS_EACH + turn++ % PORTS_EACH);
        id = thread < CALLERS ? media_leg_open(engine, port) : media_leg_open_ice(engine, port);
    }
    return id;
}

static int port_of(int64_t id)
{
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    engine_lock(engine);
    getsockname(engine->legs[id & 0xFFFF].rtp_fd, (struct sockaddr *)&own, &size);
    engine_unlock(engine);
    return ntohs(own.sin_port);
}

static void *caller(void *argument)
{
    static const uint8_t sound[4000];
    const uint8_t *clips[] = {sound};
    size_t sizes[] = {sizeof sound};
    MediaLegStatistics statistics;
    int thread = (int)(intptr_t)argument;
    int64_t end = monotonic_now() + SECONDS * SECOND;
    while (monotonic_now() < end) {
        int64_t one = open_leg(thread), other = open_leg(thread);
        /* Each is the other's far end: their own packets are what they receive. */
        static const int PAYLOAD_TYPES[CODECS] = {0, 8, 9, 111};
        int codec = thread % CODECS;
        MediaRemote remote = {.address = "127.0.0.1", .codec = codec, .payload_type = PAYLOAD_TYPES[codec],
                              .payload_type_in = PAYLOAD_TYPES[codec], .telephone_event = 101,
                              .telephone_event_in = 101, .ptime_ms = 20, .send = 1, .receive = 1};
        for (int i = 0; i < 2; i++) {
            int port = port_of(i ? one : other);
            remote.port = port;
            remote.rtcp_port = port + 1;
            media_leg_set_remote(engine, i ? other : one, &remote);
        }
        media_leg_listen(engine, one, 1);
        media_leg_play(engine, one, 1, clips, sizes, 1, 1);
        media_leg_send_keys(engine, other, "12", 60, 40);
        struct timespec moment = {0, 30 * MILLISECOND};
        nanosleep(&moment, NULL);
        media_leg_bridge(engine, one, other);
        nanosleep(&moment, NULL);
        /* All threads meet in one mix, and each makes one of its own. */
        int64_t own = media_mix_open(engine);
        media_mix_add(engine, mix, one);
        media_mix_add(engine, mix, other);
        nanosleep(&moment, NULL);
        media_mix_add(engine, own, one);
        media_mix_remove(engine, mix, other);
        media_mix_close(engine, own);
        media_mix_add(engine, mix, one);
        media_leg_statistics(engine, one, &statistics);
        media_leg_stop_playing(engine, one);
        media_leg_listen(engine, one, 0);
        media_leg_close(engine, one, &statistics);
        media_leg_unbridge(engine, other);
        media_leg_close(engine, other, NULL);
    }
    return NULL;
}

/* The keys of a leg and of its far end, as often as not those it has. */
static void new_keys(int64_t one, int64_t other, uint8_t byte)
{
    MediaSrtp keys = {.profile = byte % 4}, mirror = {.profile = byte % 4};
    memset(keys.send, byte / 2, sizeof keys.send);
    memset(keys.receive, 255 - byte / 3, sizeof keys.receive);
    memcpy(mirror.send, keys.receive, sizeof mirror.send);
    memcpy(mirror.receive, keys.send, sizeof mirror.receive);
    media_leg_secure(engine, one, &keys);
    media_leg_secure(engine, other, &mirror);
}

static void *browser(void *argument)
{
    static const uint8_t stun[20] = {0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42};
    MediaRemote remote = {.address = "0.0.0.0", .telephone_event = 101, .telephone_event_in = 101, .ptime_ms = 20,
                          .send = 1, .receive = 1};
    int thread = (int)(intptr_t)argument;
    int64_t end = monotonic_now() + SECONDS * SECOND;
    for (uint8_t byte = 0; monotonic_now() < end; byte++) {
        int64_t one = open_leg(thread), other = open_leg(thread);
        int port = port_of(one), other_port = port_of(other);
        media_leg_set_remote(engine, one, &remote);
        media_leg_set_remote(engine, other, &remote);
        for (int i = 0; i < 20; i++)
            media_leg_send_datagram(engine, one, stun, sizeof stun, "127.0.0.1", other_port);
        new_keys(one, other, byte);
        media_leg_set_path(engine, one, "127.0.0.1", other_port);
        media_leg_set_path(engine, other, "127.0.0.1", port);
        media_leg_bridge(engine, one, other);
        for (int i = 0; i < 4; i++) {
            struct timespec moment = {0, 20 * MILLISECOND};
            nanosleep(&moment, NULL);
            new_keys(one, other, (uint8_t)(byte + i));
        }
        if (byte % 2)
            media_leg_secure(engine, one, NULL);
        media_leg_close(engine, one, NULL);
        media_leg_close(engine, other, NULL);
    }
    return NULL;
}

/* More than is read at a time, to every port there may be: legs close in the middle of being read. */
static void *flooder(void *argument)
{
    uint8_t packet[RTP_HEADER + FRAME] = {0x80};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int64_t end = monotonic_now() + SECONDS * SECOND;
    for (int turn = 0; monotonic_now() < end; turn++) {
        Address to;
        address_parse("127.0.0.1", first_port + 2 * (turn % (THREADS * PORTS_EACH)), &to);
        for (int sent = 0; sent < FLOOD; sent++)
            (void)!sendto(fd, packet, sizeof packet, 0, &to.any, address_size(&to));
    }
    close(fd);
    return argument;
}

int main(int count, char **arguments)
{
    pthread_t threads[THREADS], flood;
    const uint8_t *events;
    MediaEngineStatistics statistics;
    first_port = 26000 + (int)(getpid() % 500) * 2;
    engine = media_engine_new("127.0.0.1", 64, 0.05, 1, 0);
    const char *problem = engine ? media_engine_use_srtp(engine, getenv("LIBSRTP")) : "no engine";
    if (problem || count != 2 || media_load_opus(arguments[1]) || media_engine_start(engine)) {
        fprintf(stderr, "%s\n", problem ? problem : "no libopus or no thread");
        return 1;
    }
    mix = media_mix_open(engine);
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, i < CALLERS ? caller : browser, (void *)i);
    pthread_create(&flood, NULL, flooder, NULL);
    size_t heard = 0;
    for (int i = 0; i < SECONDS * 20; i++) {
        struct timespec moment = {0, 50 * MILLISECOND};
        nanosleep(&moment, NULL);
        heard += media_engine_events(engine, &events);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(flood, NULL);
    media_engine_statistics(engine, &statistics);
    media_engine_free(engine);
    if (!heard || statistics.legs) {
        fprintf(stderr, "%zu bytes of events, %d legs left\n", heard, (int)statistics.legs);
        return 1;
    }
    return 0;
}
