/* Passing one leg's packets on in the stream of another.
 *
 * The stream keeps its SSRC, and its numbers run on. At a switch the first packet takes the next sequence number and
 * timestamp, which fixes the difference to the numbers it came with; the packets after it keep that difference. So
 * what was lost or reordered on the way in is seen as just that by the far end, and nothing else is. Between codecs
 * whose RTP clocks differ the timestamps keep the difference in time. */
#include "core.h"

#include <string.h>

enum {
    JUMP = 8000,       /* samples off the stream's clock that no network makes: the sender has started anew */
    SEQUENCE_JUMP = 100,
    REORDERED = 1000, /* packets; nothing is overtaken by more */
    PRESS_MAX = 60 * 8000, /* samples that nobody holds a key down for */
};

/* After this long without a packet from the peer the leg is sent silence again. */
#define CARRIES (200 * MILLISECOND)

bool bridge_carries(const Leg *to, int64_t now)
{
    return to->peer && to->forward.based && now - to->forward.last < CARRIES;
}

static uint32_t timestamp_out(const Leg *from, const Leg *to, uint32_t timestamp)
{
    const Forward *forward = &to->forward;
    int32_t since = (int32_t)(timestamp - forward->timestamp_in);
    return forward->timestamp_out + (uint32_t)rescale(since, from->codec->scale, to->codec->scale);
}

/* The pair of moments goes along, because their difference has to fit into 32 bits; by whole units of both clocks. */
static void go_along(const Leg *from, Leg *to, uint32_t timestamp)
{
    Forward *forward = &to->forward;
    int32_t since = rescale((int32_t)(timestamp - forward->timestamp_in), from->codec->scale, 1);
    forward->timestamp_in += (uint32_t)since * (uint32_t)from->codec->scale;
    forward->timestamp_out += (uint32_t)since * (uint32_t)to->codec->scale;
}

/* An event's duration and beginning by the other clock. What came in segments because its clock is fast goes out as one
 * again where that is possible, and the other way round. Returns the timestamp. */
static uint32_t retime_event(const Leg *from, const Leg *to, const RtpPacket *packet, uint8_t *payload)
{
    uint32_t since = packet->timestamp - to->forward.press;
    if (since > (uint32_t)(PRESS_MAX * from->codec->scale))
        since = 0;
    int64_t lasted = (int64_t)since + get16(packet->payload + 2);
    uint32_t lasts = (uint32_t)(lasted * to->codec->scale / from->codec->scale);
    uint32_t segment = key_segment(lasts, to->codec->scale);
    put16(payload + 2, lasts - segment);
    return timestamp_out(from, to, packet->timestamp - since) + segment;
}

static bool still_fits(const Leg *from, const Leg *to, const RtpPacket *packet, Sequence sequence, bool is_event,
                       int64_t now)
{
    const Forward *forward = &to->forward;
    if (!forward->based || forward->ssrc != packet->ssrc)
        return false;
    int16_t ahead = (int16_t)(packet->sequence - forward->newest);
    if (sequence == SEQUENCE_NEXT && (ahead <= 0 || ahead > SEQUENCE_JUMP))
        return false;
    /* An event's timestamp stays at its beginning for as long as the key is held. */
    if (is_event)
        return true;
    int32_t off = (int32_t)(timestamp_out(from, to, packet->timestamp) - stream_clock(&to->out, now));
    return off > -JUMP * to->out.scale && off < JUMP * to->out.scale;
}

void bridge_forward(Leg *from, Leg *to, const RtpPacket *packet, Sequence sequence, int content, bool new_event,
                    const int16_t *sound, int count, int64_t now)
{
    Forward *forward = &to->forward;
    Stream *out = &to->out;
    bool is_event = content == CONTENT_EVENT, transcodes = !is_event && codec_transcodes(content, to->remote.codec);

    if (new_event)
        forward->press = packet->timestamp;
    if (!from->remote.receive || !to->has_remote || !to->remote.send || !leg_may_send(to)
        || keys_out_active(&to->keys_out) || to->play.active) {
        forward->based = false;
        return;
    }
    if (content == CONTENT_NOISE || packet->size > PAYLOAD_MAX || (is_event && to->remote.telephone_event < 0)) {
        /* Closes the gap that the packet would leave, which the far end would count as loss. */
        if (forward->based && sequence == SEQUENCE_NEXT) {
            forward->sequence_offset--;
            forward->newest = packet->sequence;
            forward->first = (uint16_t)(packet->sequence + 1);
        }
        return;
    }
    /* What cannot be decoded is as good as lost. */
    if (transcodes && !count)
        return;

    bool marker = packet->marker;
    if (!still_fits(from, to, packet, sequence, is_event, now)) {
        /* In the middle of a press there is no timestamp to begin with that the far end would not take for another
         * press. */
        if (sequence != SEQUENCE_NEXT || (is_event && !new_event))
            return;
        bool jumped;
        forward->timestamp_in = packet->timestamp;
        forward->timestamp_out = stream_timestamp(out, now, &jumped);
        forward->sequence_offset = (uint16_t)(out->next_sequence - packet->sequence);
        forward->first = forward->newest = packet->sequence;
        forward->ssrc = packet->ssrc;
        forward->based = true;
        marker = true;
    }
    if ((int16_t)(packet->sequence - forward->first) < 0)
        return;
    if ((int16_t)(packet->sequence - forward->newest) > 0)
        forward->newest = packet->sequence;
    /* It goes along, or half the numbers later every packet would seem to be from before the mapping. */
    if ((uint16_t)(forward->newest - forward->first) > REORDERED)
        forward->first = (uint16_t)(forward->newest - REORDERED);
    forward->last = now;

    uint16_t number = (uint16_t)(packet->sequence + forward->sequence_offset);
    uint32_t timestamp = timestamp_out(from, to, packet->timestamp);
    uint8_t bytes[RTP_HEADER + PAYLOAD_MAX], *payload = bytes + RTP_HEADER;
    int payload_type = is_event ? to->remote.telephone_event : to->remote.payload_type;
    int samples = transcodes ? count : is_event ? 0 : leg_duration(from, packet, content);
    size_t size = packet->size;
    if (transcodes) {
        if (!(size = leg_encode(to, sound, count, payload, PAYLOAD_MAX)))
            return;
    } else if (!is_event && content != to->remote.codec) {
        for (size_t i = 0; i < size; i++)
            payload[i] = g711_transcoded[content][packet->payload[i]];
    } else {
        memcpy(payload, packet->payload, size);
        if (is_event && from->codec->scale != to->codec->scale)
            timestamp = retime_event(from, to, packet, payload);
        else if (!is_event)
            to->encoder_behind = true;
    }
    uint32_t length = is_event ? get16(payload + 2) : (uint32_t)(samples * to->codec->scale);
    leg_send_packet(to, payload_type, marker, number, timestamp, bytes, size);
    if (sequence == SEQUENCE_NEXT)
        go_along(from, to, packet->timestamp);

    if ((int16_t)(number - out->next_sequence) >= 0)
        out->next_sequence = (uint16_t)(number + 1);
    if (!out->sent || (int32_t)(timestamp + length - out->next_timestamp) > 0)
        out->next_timestamp = timestamp + length;
    out->sent = true;
    if (!is_event) {
        to->samples_sent += samples;
        if (sequence == SEQUENCE_NEXT) {
            out->sent_timestamp = timestamp;
            out->sent_time = now;
        }
    }
}
