/* A packet that arrived at a leg's RTP port: whether it is the far end's, and what becomes of it. */
#include "core.h"

enum { COMFORT_NOISE = 13 }; /* RFC 3389 */

/* Another source is believed only after the present one has been silent for this long. */
#define SILENT_LONG (3 * SECOND)
/* What is still on its way from the old place after signalling has moved the far end. */
#define ON_ITS_WAY (2 * SECOND)

/* The codec, or what else the packet carries. PCMU and PCMA keep their static numbers (RFC 3551 6) unless those were
 * given away, or are of another clock: many phones send either when both were offered. */
static int content_of(const Leg *leg, const RtpPacket *packet)
{
    const MediaRemote *remote = &leg->remote;
    int type = packet->payload_type;
    /* Some phones answer an offer with a number of their own for keys and then send them under it. */
    bool its_own = remote->telephone_event_in >= 0 && type == remote->telephone_event && type != remote->payload_type_in;
    if (type == remote->telephone_event_in || its_own)
        return packet->size >= 4 ? CONTENT_EVENT : CONTENT_UNKNOWN;
    int codec = type == remote->payload_type_in ? remote->codec
                : leg->codec->scale != 1        ? CONTENT_UNKNOWN
                : type == 0                     ? CODEC_PCMU
                : type == 8                     ? CODEC_PCMA
                                                : CONTENT_UNKNOWN;
    if (codec != CONTENT_UNKNOWN)
        return leg_duration(leg, packet, codec) ? codec : CONTENT_UNKNOWN;
    return type == COMFORT_NOISE ? CONTENT_NOISE : CONTENT_UNKNOWN;
}

static void begin_stream(Leg *leg, uint32_t ssrc)
{
    reception_start(&leg->reception, ssrc);
    leg->keys_in = (KeysIn){0};
    /* A new SSRC brings no new time to decode. */
    leg->decoding = (Decoding){.paid_until = leg->decoding.paid_until};
    if (leg->listener)
        leg->listener->running = false;
}

static void latch(Leg *leg, const Address *from, uint32_t ssrc)
{
    int shift = address_port(&leg->rtcp_destination) - address_port(&leg->destination);
    leg->locked = true;
    leg->source = *from;
    leg->destination = *from;
    if (!leg->rtcp_latched) {
        leg->rtcp_destination = *from;
        address_set_port(&leg->rtcp_destination, address_port(from) + shift);
    }
    begin_stream(leg, ssrc);
}

static bool from_far_end(Leg *leg, const RtpPacket *packet, const Address *from, int64_t now)
{
    /* With ICE it is the key that tells whose a packet is, wherever it comes from. */
    if (leg->ice && !leg->locked) {
        leg->locked = true;
        begin_stream(leg, packet->ssrc);
        return true;
    }
    if (leg->locked && (leg->ice || address_equal(from, &leg->source))) {
        if (packet->ssrc == leg->reception.ssrc)
            return true;
        if (packet->ssrc == leg->former_ssrc && now < leg->former_ssrc_until)
            return false;
        leg->former_ssrc = leg->reception.ssrc;
        leg->former_ssrc_until = now + SECOND;
        begin_stream(leg, packet->ssrc);
        return true;
    }
    /* Signalling vouches for its own address: whoever was quicker from elsewhere (the last call's stream on this
     * port, an attacker) has to yield. */
    if (leg->locked && now - leg->last_rtp < SILENT_LONG && !address_equal(from, &leg->signalled))
        return false;
    if (now < leg->former_until && address_equal(from, &leg->former_source))
        return false;
    latch(leg, from, packet->ssrc);
    return true;
}

/* Apart from the rest because of what it needs of the stack. */
static void hear_and_forward(Leg *leg, const RtpPacket *packet, Sequence sequence, int content, int64_t now)
{
    int16_t samples[SOUND_MAX];
    int count = leg_decode(leg, packet, sequence, content, now, samples);
    if (leg->peer)
        bridge_forward(leg, leg->peer, packet, sequence, content, false, samples, count, now);
}

void leg_receive_rtp(Engine *engine, Leg *leg, const uint8_t *data, size_t size, const Address *from, int64_t arrival,
                     int64_t now)
{
    MediaLegStatistics *statistics = &leg->statistics;
    RtpPacket packet;
    _Alignas(8) uint8_t opened[PACKET_MAX];
    if (!leg->has_remote) {
        statistics->ignored++;
        return;
    }
    /* RFC 5761 4: no RTP payload type that may be used beside RTCP looks like these. */
    if (leg->remote.rtcp_mux && size >= 2 && data[1] >= 192 && data[1] <= 223) {
        leg_receive_rtcp(engine, leg, data, size, from, now);
        return;
    }
    if (leg->srtp.required) {
        if (!(size = srtp_open(leg, false, data, size, opened, now)))
            return;
        data = opened;
    }
    if (!rtp_parse(data, size, &packet)) {
        statistics->malformed++;
        return;
    }
    int content = content_of(leg, &packet);
    if (content == CONTENT_UNKNOWN) {
        statistics->malformed++;
        return;
    }
    if (!from_far_end(leg, &packet, from, now)) {
        statistics->ignored++;
        return;
    }
    leg->last_rtp = now;
    statistics->packets_received++;
    statistics->bytes_received += (int64_t)packet.size;
    if (!leg->started) {
        leg->started = true;
        event_push(engine, leg, EVENT_MEDIA_STARTED, 0, 0);
    }
    leg_heard(engine, leg, now);

    Sequence sequence = reception_update(&leg->reception, packet.sequence);
    if (sequence == SEQUENCE_DUPLICATE) {
        statistics->duplicates++;
        return;
    }
    statistics->reordered += sequence == SEQUENCE_LATE;

    bool new_event = false;
    if (content == CONTENT_EVENT) {
        char key = keys_in_packet(&leg->keys_in, &packet, leg->codec->scale);
        new_event = key;
        if (key)
            event_push(engine, leg, EVENT_KEY, key, 0);
    } else if (content >= 0) {
        leg->samples_received += leg_duration(leg, &packet, content);
        reception_jitter(&leg->reception, packet.timestamp, arrival, leg->codec->scale);
    }
    if (sequence == SEQUENCE_DOUBTFUL)
        return;
    if (content >= 0 && (leg->listener || (leg->peer && codec_transcodes(content, leg->peer->remote.codec))))
        hear_and_forward(leg, &packet, sequence, content, now);
    else if (leg->peer)
        bridge_forward(leg, leg->peer, &packet, sequence, content, new_event, NULL, 0, now);
}

void leg_move(Leg *leg, const Address *signalled, const Address *rtcp, int64_t now)
{
    if (leg->locked) {
        leg->former_source = leg->source;
        /* Not when the far end has said that it is there. */
        leg->former_until = address_equal(&leg->source, signalled) ? 0 : now + ON_ITS_WAY;
    }
    leg->locked = false;
    leg->rtcp_latched = false;
    leg->signalled = leg->destination = *signalled;
    leg->rtcp_destination = *rtcp;
}
