/* libFuzzer: whatever anybody sends to a leg's two ports, the engine neither reads nor writes where it must not.
 *
 * An input is a series of packets to two legs that are bridged or mixed, both listening, while one plays and sends
 * keys. Its first byte says of which codecs they are, and whether they are mixed. Each packet is preceded by three
 * bytes: how it arrives, and its length. The sockets are shut, so nothing leaves the process. OPUS_LIBRARY is the path
 * of libopus. */
#include "../../../gateway/media/native/core.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TO_OTHER = 1, RTCP = 2, FROM_STRANGER = 4, MULTIPLEXED = 8, LATER = 16 };
enum { MIXED = 16, FIRST_PORT = 24000, PORTS_TRIED = 2000 };

static Engine *engine;
static Leg *legs[2];
static int64_t mix;
static int64_t now;

static Leg *open_leg(int codec, bool other)
{
    static const int PAYLOAD_TYPES[CODECS] = {0, 8, 9, 111};
    MediaRemote remote = {.address = "127.0.0.1", .port = 9, .rtcp_port = 10, .codec = codec,
                          .payload_type = PAYLOAD_TYPES[codec], .payload_type_in = PAYLOAD_TYPES[codec],
                          .telephone_event = 101, .telephone_event_in = other ? -1 : 101, .ptime_ms = other ? 30 : 20,
                          .send = 1, .receive = 1};
    int64_t id = -1;
    for (int port = FIRST_PORT + (int)(getpid() % PORTS_TRIED) * 2; id < 0; port += 2)
        id = media_leg_open(engine, port);
    media_leg_set_remote(engine, id, &remote);
    media_leg_listen(engine, id, 1);
    media_leg_detect_inband_keys(engine, id, 1);
    Leg *leg = &engine->legs[id & 0xFFFF];
    /* A closed descriptor makes sending fail at once. */
    close(leg->rtp_fd);
    close(leg->rtcp_fd);
    leg->rtp_fd = leg->rtcp_fd = -1;
    return leg;
}

static void begin(int how)
{
    static const uint8_t sound[FRAME * 3];
    const uint8_t *clips[] = {sound};
    size_t sizes[] = {sizeof sound};
    if (!engine) {
        const char *opus = getenv("OPUS_LIBRARY");
        if (!opus || media_load_opus(opus))
            abort();
        engine = media_engine_new("127.0.0.1", 2, 15, 1, 0);
    }
    for (int i = 0; i < 2; i++)
        legs[i] = open_leg(how >> 2 * i & 3, i);
    mix = how & MIXED ? media_mix_open(engine) : -1;
    for (int i = 0; i < 2; i++) {
        if (how & MIXED)
            media_mix_add(engine, mix, legs[i]->id);
        else
            /* By hand: there is nothing to wait for at a socket that is shut. */
            legs[i]->peer = legs[!i];
    }
    media_leg_play(engine, legs[0]->id, 1, clips, sizes, 1, 0);
    media_leg_send_keys(engine, legs[1]->id, "1#", 40, 40);
    now = monotonic_now();
}

static void turn(Leg *leg)
{
    if (!leg->member)
        leg_hear(engine, leg, leg->tick);
    leg_send_due(engine, leg, now);
    rtcp_send(engine, leg, now, false);
}

static void mix_once(void)
{
    engine_hold(engine);
    for (int i = 0; i < SLOTS; i++, engine->slot++)
        mixes_run(engine);
    engine_let_go(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *events;
    if (!size)
        return 0;
    begin(data[0]);
    data++;
    size--;
    while (size >= 3) {
        int how = data[0];
        size_t length = get16(data + 1) % (PACKET_MAX + 1);
        data += 3;
        size -= 3;
        if (length > size)
            length = size;
        /* On the heap, so that the sanitizer sees a step beyond the packet's end. */
        uint8_t *packet = malloc(length ? length : 1);
        memcpy(packet, data, length);
        Leg *leg = legs[how & TO_OTHER ? 1 : 0];
        Address from;
        address_parse("127.0.0.1", how & FROM_STRANGER ? 4000 : 9, &from);
        leg->remote.rtcp_mux = !!(how & MULTIPLEXED);
        if (how & RTCP)
            leg_receive_rtcp(engine, leg, packet, length, &from, now);
        else
            leg_receive_rtp(engine, leg, packet, length, &from, now, now);
        free(packet);
        data += length;
        size -= length;
        now += how & LATER ? 4 * SECOND : 20 * MILLISECOND;
        mix_once();
        turn(legs[0]);
        turn(legs[1]);
    }
    for (int i = 0; i < 2; i++)
        media_leg_close(engine, legs[i]->id, NULL);
    media_mix_close(engine, mix);
    media_engine_events(engine, &events);
    return 0;
}
