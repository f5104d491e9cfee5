/* Secure legs and legs with ICE in a time of our own and under the sanitizers: hours of a call, keys that change at any
 * moment of it, and floods. Run by test_native.py with the path of libsrtp; exits with 1 at the first failure.
 *
 * Far ends are legs too, with the keys the other way round; test_srtp.py has others. */
#include "../../../gateway/media/native/core.h"
#include "check.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { FIRST_PORT = 31000, PORTS_TRIED = 2000, PACKETS_A_SECOND = 50 };

int64_t __wrap_monotonic_now(void);

static int64_t own_time = 1000 * SECOND;
static const char *libsrtp_path;

int64_t __wrap_monotonic_now(void) { return own_time; }

typedef struct {
    Engine *engine;
    Inbox *inbox;
    Leg *near, *far;
    int near_port, far_port;
    MediaSrtp keys; /* as the near leg has them */
} Call;

static Leg *open_leg(Engine *engine, bool ice, int *port)
{
    static int next = FIRST_PORT;
    int64_t id = -1;
    for (int tried = 0; id < 0 && tried < PORTS_TRIED; tried++) {
        *port = next;
        id = (ice ? media_leg_open_ice : media_leg_open)(engine, next);
        next = next + 2 < FIRST_PORT + 2 * PORTS_TRIED ? next + 2 : FIRST_PORT;
    }
    CHECK(id >= 0);
    return &engine->legs[id & 0xFFFF];
}

static MediaSrtp fresh_keys(int profile)
{
    static uint8_t byte;
    MediaSrtp keys = {.profile = profile};
    byte++;
    memset(keys.send, byte, sizeof keys.send);
    memset(keys.receive, 255 - byte, sizeof keys.receive);
    return keys;
}

static MediaSrtp mirrored(const MediaSrtp *keys)
{
    MediaSrtp mirror = {.profile = keys->profile};
    memcpy(mirror.send, keys->receive, sizeof mirror.send);
    memcpy(mirror.receive, keys->send, sizeof mirror.receive);
    return mirror;
}

static void secure_near(Call *call, const MediaSrtp *keys)
{
    CHECK(!media_leg_secure(call->engine, call->near->id, keys));
}

static void secure_far(Call *call, const MediaSrtp *keys)
{
    MediaSrtp mirror = mirrored(keys);
    CHECK(!media_leg_secure(call->engine, call->far->id, &mirror));
}

static Call call_begin(int profile)
{
    MediaRemote remote = {.address = "0.0.0.0", .codec = CODEC_PCMU, .telephone_event = 101, .telephone_event_in = 101,
                          .ptime_ms = 20, .send = 1, .receive = 1};
    Call call = {.engine = media_engine_new("127.0.0.1", 8, 0, 1, 0), .inbox = inbox_new(),
                 .keys = fresh_keys(profile)};
    CHECK(call.engine && call.inbox);
    CHECK(!media_engine_use_srtp(call.engine, libsrtp_path));
    call.near = open_leg(call.engine, true, &call.near_port);
    call.far = open_leg(call.engine, true, &call.far_port);
    call.engine->due = INT64_MAX;
    CHECK(!media_leg_set_remote(call.engine, call.near->id, &remote));
    CHECK(!media_leg_set_remote(call.engine, call.far->id, &remote));
    CHECK(!media_leg_set_path(call.engine, call.near->id, "127.0.0.1", call.far_port));
    CHECK(!media_leg_set_path(call.engine, call.far->id, "127.0.0.1", call.near_port));
    secure_near(&call, &call.keys);
    secure_far(&call, &call.keys);
    return call;
}

static void call_end(Call *call)
{
    media_engine_free(call->engine);
    free(call->inbox);
}

/* As if epoll had told of it. */
static void reads(Call *call, Leg *leg)
{
    struct epoll_event ready = {.data.u64 = (uint64_t)leg->id};
    media_round(call->engine, call->inbox, &ready, 1);
}

static void sends(Call *call, Leg *leg, int packets)
{
    for (int i = 0; i < packets; i++) {
        own_time += 20 * MILLISECOND;
        leg_send_due(call->engine, leg, own_time);
    }
}

static void both_talk(Call *call, int packets)
{
    for (int i = 0; i < packets; i++) {
        own_time += 20 * MILLISECOND;
        leg_send_due(call->engine, call->near, own_time);
        leg_send_due(call->engine, call->far, own_time);
        reads(call, call->near);
        reads(call, call->far);
    }
}

static void all_arrived(const Leg *from, const Leg *to)
{
    CHECK(from->statistics.packets_sent > 0);
    CHECK(from->statistics.send_errors == 0);
    CHECK(to->statistics.packets_received == from->statistics.packets_sent);
    CHECK(to->statistics.unauthentic == 0 && to->statistics.replayed == 0 && to->statistics.ignored == 0);
}

/* Sends until the numbers are there. */
static void goes_on_to(Call *call, uint16_t sequence)
{
    while (call->near->out.next_sequence != sequence) {
        sends(call, call->near, 1);
        reads(call, call->far);
    }
}

/* Keys ------------------------------------------------------------------------------------------------------------ */

static void test_many_rollovers(int profile)
{
    Call call = call_begin(profile);
    for (int i = 0; i < 3; i++) {
        goes_on_to(&call, 65535);
        both_talk(&call, 2);
    }
    all_arrived(call.near, call.far);
    all_arrived(call.far, call.near);
    call_end(&call);
}

static void test_a_new_key_after_rollovers_begins_a_new_stream(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    uint32_t ssrc = call.near->out.ssrc;
    goes_on_to(&call, 65535);
    both_talk(&call, 10);
    CHECK(call.near->out.ssrc == ssrc);
    MediaSrtp fresh = fresh_keys(SRTP_AES_CM_128_HMAC_SHA1_80);
    secure_far(&call, &fresh);
    both_talk(&call, 10);
    secure_near(&call, &fresh);
    CHECK(call.near->out.ssrc != ssrc && call.near->out.next_sequence < 1 << 15);
    both_talk(&call, 100);
    all_arrived(call.near, call.far);
    CHECK(call.near->statistics.unauthentic == 10); /* before the near leg had the key */
    call_end(&call);
}

static void test_a_new_key_before_that_changes_no_stream(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    uint32_t ssrc = call.near->out.ssrc;
    both_talk(&call, 10);
    uint16_t next = call.near->out.next_sequence;
    MediaSrtp fresh = fresh_keys(SRTP_AEAD_AES_128_GCM);
    secure_far(&call, &fresh);
    secure_near(&call, &fresh);
    CHECK(call.near->out.ssrc == ssrc && call.near->out.next_sequence == next);
    both_talk(&call, 10);
    all_arrived(call.near, call.far);
    call_end(&call);
}

static void test_a_new_key_shortly_before_a_rollover(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    uint32_t ssrc = call.near->out.ssrc;
    goes_on_to(&call, 65530);
    MediaSrtp fresh = fresh_keys(SRTP_AES_CM_128_HMAC_SHA1_80);
    secure_far(&call, &fresh);
    secure_near(&call, &fresh);
    CHECK(call.near->out.ssrc != ssrc);
    both_talk(&call, 100);
    all_arrived(call.near, call.far);
    call_end(&call);
}

static void test_the_same_keys_change_nothing(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    goes_on_to(&call, 65535);
    both_talk(&call, 10);
    LegSrtp before = call.near->srtp;
    secure_near(&call, &call.keys);
    CHECK(!memcmp(&before, &call.near->srtp, sizeof before));
    MediaSrtp half = call.keys;
    memset(half.receive, 77, sizeof half.receive);
    secure_near(&call, &half);
    CHECK(before.send == call.near->srtp.send && before.receive[0] != call.near->srtp.receive[0]);
    both_talk(&call, 10);
    all_arrived(call.near, call.far);
    call_end(&call);
}

static void test_the_old_key_for_two_seconds(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_32);
    both_talk(&call, 10);
    MediaSrtp fresh = fresh_keys(SRTP_AES_CM_128_HMAC_SHA1_32);
    secure_near(&call, &fresh);
    int64_t changed = own_time;
    while (own_time < changed + 2 * SECOND - 20 * MILLISECOND) {
        sends(&call, call.far, 1);
        reads(&call, call.near);
    }
    all_arrived(call.far, call.near);
    sends(&call, call.far, 10);
    reads(&call, call.near);
    CHECK(call.near->statistics.unauthentic == 10);
    secure_far(&call, &fresh);
    sends(&call, call.far, 10);
    reads(&call, call.near);
    CHECK(call.near->statistics.unauthentic == 10);
    CHECK(call.near->statistics.packets_received == call.far->statistics.packets_sent - 10);
    call_end(&call);
}

/* Held for an hour by the far end, which sends nothing meanwhile: its next packet is opened all the same. */
static void test_a_new_key_and_long_silence(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    for (int packets = 0; packets < 1 << 16; packets += PACKETS_A_SECOND) {
        sends(&call, call.far, PACKETS_A_SECOND);
        reads(&call, call.near);
    }
    MediaSrtp fresh = fresh_keys(SRTP_AES_CM_128_HMAC_SHA1_80);
    secure_near(&call, &fresh);
    own_time += 3600 * SECOND;
    secure_far(&call, &fresh);
    sends(&call, call.far, 10);
    reads(&call, call.near);
    all_arrived(call.far, call.near);
    call_end(&call);
}

/* Once it is known how the far end counts, what came one way cannot come again the other way. */
static void test_replayed_under_a_new_key(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    uint8_t packet[RTP_HEADER + FRAME] = {0x80}, sealed[SEALED_MAX];
    Address from;
    CHECK(address_parse("127.0.0.1", call.far_port, &from));
    for (int packets = 0; packets < 1 << 16; packets += PACKETS_A_SECOND) {
        sends(&call, call.far, PACKETS_A_SECOND);
        reads(&call, call.near);
    }
    uint32_t ssrc = call.far->out.ssrc;
    MediaSrtp fresh = fresh_keys(SRTP_AES_CM_128_HMAC_SHA1_80);
    secure_near(&call, &fresh);
    secure_far(&call, &fresh);
    CHECK(call.far->out.ssrc != ssrc);
    put32(packet + 8, call.far->out.ssrc);
    size_t size = srtp_seal(&call.far->srtp, false, packet, sizeof packet, sealed);
    int64_t before = call.near->statistics.packets_received;
    for (int i = 0; i < 3; i++)
        leg_receive(call.engine, call.near, sealed, size, &from, own_time, own_time);
    CHECK(call.near->statistics.packets_received == before + 1);
    CHECK(call.near->statistics.replayed == 2);
    call_end(&call);
}

static void test_keys_in_quick_succession(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    for (int i = 0; i < 200; i++) {
        MediaSrtp fresh = fresh_keys(i % 4);
        secure_near(&call, &fresh);
        if (i % 3 == 0)
            secure_far(&call, &fresh);
        if (i % 5 == 0)
            both_talk(&call, 2);
        if (i % 50 == 49)
            secure_near(&call, NULL);
    }
    secure_near(&call, &call.keys);
    secure_far(&call, &call.keys);
    int64_t before = call.far->statistics.packets_received;
    both_talk(&call, 10);
    CHECK(call.far->statistics.packets_received == before + 10);
    call_end(&call);
}

static void test_reports_are_sealed_too(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_32);
    both_talk(&call, 10);
    rtcp_send(call.engine, call.near, own_time, false);
    own_time += 30 * MILLISECOND;
    reads(&call, call.far);
    CHECK(call.far->rtcp.sr_ssrc == call.near->out.ssrc);
    rtcp_send(call.engine, call.far, own_time, false);
    own_time += 30 * MILLISECOND;
    reads(&call, call.near);
    CHECK(call.near->statistics.round_trip_ms > 20);
    all_arrived(call.near, call.far);
    CHECK(call.near->statistics.malformed == 0 && call.far->statistics.malformed == 0);
    call_end(&call);
}

static void test_every_byte_counts(int profile)
{
    Call call = call_begin(profile);
    uint8_t packet[RTP_HEADER + FRAME] = {0x80}, sealed[SEALED_MAX];
    Address from;
    CHECK(address_parse("127.0.0.1", call.far_port, &from));
    size_t size = srtp_seal(&call.far->srtp, false, packet, sizeof packet, sealed);
    CHECK(size == 0);
    put32(packet + 8, call.far->out.ssrc);
    size = srtp_seal(&call.far->srtp, false, packet, sizeof packet, sealed);
    CHECK(size > sizeof packet && size < sizeof packet + 20);
    for (size_t length = 0; length < size; length++)
        leg_receive(call.engine, call.near, sealed, length, &from, own_time, own_time);
    for (size_t bit = 0; bit < size * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        leg_receive(call.engine, call.near, sealed, size, &from, own_time, own_time);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CHECK(call.near->statistics.packets_received == 0 && !call.near->reception.started);
    leg_receive(call.engine, call.near, sealed, size, &from, own_time, own_time);
    CHECK(call.near->statistics.packets_received == 1);
    leg_receive(call.engine, call.near, sealed, size, &from, own_time, own_time);
    CHECK(call.near->statistics.packets_received == 1 && call.near->statistics.replayed == 1);
    call_end(&call);
}

/* Datagrams ------------------------------------------------------------------------------------------------------- */

static int told_of_datagrams(Engine *engine)
{
    const uint8_t *bytes;
    size_t size = media_engine_events(engine, &bytes);
    int count = 0;
    for (size_t at = 0; at < size;) {
        MediaEvent event;
        memcpy(&event, bytes + at, sizeof event);
        count += event.kind == EVENT_DATAGRAM;
        at += sizeof event + ((event.size + 7u) & ~7u);
    }
    return count;
}

static void stun_arrives(Call *call, int from_port)
{
    uint8_t stun[20] = {0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42};
    Address from;
    CHECK(address_parse("127.0.0.1", from_port, &from));
    leg_receive(call->engine, call->near, stun, sizeof stun, &from, own_time, own_time);
}

static void test_the_rate_of_datagrams(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    for (int i = 0; i < 1000; i++)
        stun_arrives(&call, 9);
    CHECK(told_of_datagrams(call.engine) == 101);
    for (int i = 0; i < 10; i++)
        stun_arrives(&call, call.far_port);
    CHECK(told_of_datagrams(call.engine) == 10);
    for (int i = 0; i < 1000; i++) {
        own_time += MILLISECOND;
        stun_arrives(&call, 9);
    }
    int told = told_of_datagrams(call.engine);
    CHECK(told == 100);
    CHECK(call.near->statistics.datagrams_dropped == 2000 - 101 - 100);
    own_time += 3600 * SECOND;
    for (int i = 0; i < 200; i++)
        stun_arrives(&call, 9);
    CHECK(told_of_datagrams(call.engine) == 101);
    call_end(&call);
}

/* Who is waited for: who is not yet connected, so that checks and handshakes do not take 20 ms each way, and who is
 * bridged. */
static void test_who_is_waited_for(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    int port;
    Leg *leg = open_leg(call.engine, true, &port), *phone = open_leg(call.engine, false, &port);
    CHECK(leg->watched && !phone->watched && !call.near->watched);
    CHECK(!media_leg_secure(call.engine, leg->id, &call.keys));
    CHECK(leg->watched);
    CHECK(!media_leg_set_path(call.engine, leg->id, "127.0.0.1", 9));
    CHECK(!leg->watched);
    CHECK(!media_leg_bridge(call.engine, leg->id, phone->id));
    CHECK(leg->watched && phone->watched);
    CHECK(!media_leg_unbridge(call.engine, phone->id));
    CHECK(!leg->watched && !phone->watched);
    CHECK(!media_leg_secure(call.engine, leg->id, NULL));
    CHECK(leg->watched);
    call_end(&call);
}

static void test_a_flood_is_not_waited_for(void)
{
    Call call = call_begin(SRTP_AES_CM_128_HMAC_SHA1_80);
    CHECK(!media_leg_secure(call.engine, call.near->id, NULL));
    CHECK(call.near->watched);
    int wakes = 0;
    call.engine->due = own_time;
    while (!call.near->wakes_left) {
        own_time += SLOT;
        media_round(call.engine, call.inbox, NULL, 0);
    }
    call.engine->due = INT64_MAX;
    for (; call.near->watched; wakes++)
        reads(&call, call.near);
    CHECK(wakes > 1 && wakes < 20);
    call.engine->due = own_time;
    for (int i = 0; i < SLOTS; i++) {
        own_time += SLOT;
        media_round(call.engine, call.inbox, NULL, 0);
    }
    CHECK(call.near->watched);
    call_end(&call);
}

/* The library ----------------------------------------------------------------------------------------------------- */

static void test_what_is_no_libsrtp(void)
{
    Engine *engine = media_engine_new("127.0.0.1", 8, 0, 1, 0);
    MediaSrtp keys = fresh_keys(SRTP_AES_CM_128_HMAC_SHA1_80);
    int port;
    Leg *leg = open_leg(engine, true, &port);
    CHECK(media_leg_secure(engine, leg->id, &keys) == -ENOTSUP);
    CHECK(strstr(media_engine_use_srtp(engine, "/nowhere"), "cannot be loaded"));
    CHECK(strstr(media_engine_use_srtp(engine, "libm.so.6"), "has no srtp_init"));
    CHECK(media_leg_secure(engine, leg->id, &keys) == -ENOTSUP);
    CHECK(!media_engine_use_srtp(engine, libsrtp_path));
    CHECK(!media_leg_secure(engine, leg->id, &keys));
    keys.profile = 4;
    CHECK(media_leg_secure(engine, leg->id, &keys) == -EINVAL);
    media_engine_free(engine);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    libsrtp_path = arguments[1];
    test_what_is_no_libsrtp();
    test_many_rollovers(SRTP_AES_CM_128_HMAC_SHA1_80);
    test_many_rollovers(SRTP_AEAD_AES_256_GCM);
    test_a_new_key_after_rollovers_begins_a_new_stream();
    test_a_new_key_before_that_changes_no_stream();
    test_a_new_key_shortly_before_a_rollover();
    test_the_same_keys_change_nothing();
    test_the_old_key_for_two_seconds();
    test_a_new_key_and_long_silence();
    test_replayed_under_a_new_key();
    test_keys_in_quick_succession();
    test_reports_are_sealed_too();
    for (int profile = 0; profile < 4; profile++)
        test_every_byte_counts(profile);
    test_the_rate_of_datagrams();
    test_who_is_waited_for();
    test_a_flood_is_not_waited_for();
    puts("every part did what it should");
    return 0;
}
