/* libFuzzer: whatever anybody sends to the one port of a leg with ICE, and whatever its far end seals, the engine
 * neither reads nor writes where it must not.
 *
 * An input is a series of packets to a leg that is bridged with an ordinary one, each preceded by three bytes: how it
 * arrives, and its length. LIBSRTP names the library. The sockets are shut, so nothing leaves the process. */
#include "../../../gateway/media/native/core.h"
#include "check.h"

#include <string.h>
#include <unistd.h>

enum {
    SEALED = 1, /* by the far end, whose keys these are; else as it is */
    RTCP = 2,
    FROM_STRANGER = 4,
    TAMPERED = 8,
    LATER = 16,
    NEW_KEY = 32,
    PROFILE_SHIFT = 6,
    FIRST_PORT = 33000,
    PORTS_TRIED = 2000,
};

static Engine *engine;
static Leg *browser, *phone, *far;
static int64_t now;
static uint8_t keys_made;

static Leg *open_leg(bool ice)
{
    MediaRemote remote = {.address = "127.0.0.1", .port = 9, .rtcp_port = 10, .codec = CODEC_PCMU,
                          .telephone_event = 101, .telephone_event_in = 101, .ptime_ms = 20, .send = 1, .receive = 1};
    int64_t id = -1;
    for (int port = FIRST_PORT + (int)(getpid() % PORTS_TRIED) * 2; id < 0; port += 2)
        id = (ice ? media_leg_open_ice : media_leg_open)(engine, port);
    CHECK(!media_leg_set_remote(engine, id, &remote));
    if (ice)
        CHECK(!media_leg_set_path(engine, id, "127.0.0.1", 9));
    Leg *leg = &engine->legs[id & 0xFFFF];
    /* A closed descriptor makes sending fail at once. */
    close(leg->rtp_fd);
    if (!ice)
        close(leg->rtcp_fd);
    leg->rtp_fd = leg->rtcp_fd = -1;
    return leg;
}

static void new_key(int profile)
{
    MediaSrtp near = {.profile = profile}, mirror = {.profile = profile};
    keys_made++;
    memset(near.send, keys_made, sizeof near.send);
    memset(near.receive, ~keys_made, sizeof near.receive);
    memcpy(mirror.send, near.receive, sizeof mirror.send);
    memcpy(mirror.receive, near.send, sizeof mirror.receive);
    CHECK(!media_leg_secure(engine, browser->id, &near));
    CHECK(!media_leg_secure(engine, far->id, &mirror));
}

static void begin(void)
{
    if (!engine) {
        engine = media_engine_new("127.0.0.1", 3, 15, 1, 0);
        const char *problem = media_engine_use_srtp(engine, getenv("LIBSRTP"));
        if (problem)
            fprintf(stderr, "%s\n", problem);
        CHECK(!problem);
    }
    browser = open_leg(true);
    phone = open_leg(false);
    far = open_leg(true);
    /* Bridged by hand: there is nothing to wait for at a socket that is shut. */
    browser->peer = phone;
    phone->peer = browser;
    keys_made = 0;
    new_key(SRTP_AES_CM_128_HMAC_SHA1_80);
    now = monotonic_now();
}

static void arrive(int how, const uint8_t *data, size_t length)
{
    uint8_t sealed[SEALED_MAX], plain[PACKET_MAX];
    Address from;
    CHECK(address_parse("127.0.0.1", how & FROM_STRANGER ? 4000 : 9, &from));
    if (how & SEALED && length >= RTP_HEADER && data[0] >> 6 == 2) {
        /* Of the far end's SSRC, for which it has its key. */
        memcpy(plain, data, length);
        put32(plain + (how & RTCP ? 4 : 8), far->out.ssrc);
        size_t size = srtp_seal(&far->srtp, how & RTCP, plain, length, sealed);
        if (!size || size > PACKET_MAX)
            return;
        data = sealed;
        length = size;
    }
    /* On the heap, so that the sanitizer sees a step beyond the packet's end. */
    uint8_t *packet = malloc(length ? length : 1);
    memcpy(packet, data, length);
    if (how & TAMPERED && length)
        packet[length / 2] ^= 1;
    leg_receive(engine, browser, packet, length, &from, now, now);
    free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *events;
    begin();
    while (size >= 3) {
        int how = data[0];
        size_t length = get16(data + 1) % (PACKET_MAX + 1);
        data += 3;
        size -= 3;
        if (length > size)
            length = size;
        if (how & NEW_KEY)
            new_key(how >> PROFILE_SHIFT);
        arrive(how, data, length);
        data += length;
        size -= length;
        now += how & LATER ? 4 * SECOND : 20 * MILLISECOND;
        leg_send_due(engine, browser, now);
        leg_send_due(engine, phone, now);
        rtcp_send(engine, browser, now, false);
    }
    media_leg_close(engine, browser->id, NULL);
    media_leg_close(engine, phone->id, NULL);
    media_leg_close(engine, far->id, NULL);
    media_engine_events(engine, &events);
    return 0;
}
