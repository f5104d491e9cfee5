/* libFuzzer: whatever anybody sends to a leg's two ports, the engine neither reads nor writes where it must not.
 *
 * An input is a series of packets to two bridged legs of different codecs, both listening, while one plays and sends
 * keys. Each packet is preceded by three bytes: how it arrives, and its length. The sockets are shut, so nothing
 * leaves the process. */
#include "../../../gateway/media/native/core.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TO_OTHER = 1, RTCP = 2, FROM_STRANGER = 4, MULTIPLEXED = 8, LATER = 16, FIRST_PORT = 24000, PORTS_TRIED = 2000 };

static Engine *engine;
static Leg *legs[2];
static int64_t now;

static Leg *open_leg(int codec)
{
    MediaRemote remote = {.address = "127.0.0.1", .port = 9, .rtcp_port = 10, .codec = codec,
                          .payload_type = codec ? 8 : 0, .payload_type_in = codec ? 8 : 0, .telephone_event = 101,
                          .telephone_event_in = codec ? -1 : 101, .ptime_ms = codec ? 30 : 20, .send = 1, .receive = 1};
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

static void begin(void)
{
    static const uint8_t sound[FRAME * 3];
    const uint8_t *clips[] = {sound};
    size_t sizes[] = {sizeof sound};
    if (!engine)
        engine = media_engine_new("127.0.0.1", 2, 15, 1, 0);
    for (int i = 0; i < 2; i++)
        legs[i] = open_leg(i);
    /* Bridged by hand: there is nothing to wait for at a socket that is shut. */
    legs[0]->peer = legs[1];
    legs[1]->peer = legs[0];
    media_leg_play(engine, legs[0]->id, 1, clips, sizes, 1, 0);
    media_leg_send_keys(engine, legs[1]->id, "1#", 40, 40);
    now = monotonic_now();
}

static void turn(Leg *leg)
{
    int16_t samples[FRAME];
    leg_send_due(engine, leg, now);
    if (leg->listener->running)
        listener_take(leg->listener, samples, leg->tick);
    rtcp_send(engine, leg, now, false);
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
        turn(legs[0]);
        turn(legs[1]);
    }
    for (int i = 0; i < 2; i++)
        media_leg_close(engine, legs[i]->id, NULL);
    media_engine_events(engine, &events);
    return 0;
}
