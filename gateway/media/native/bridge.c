/* Passing one leg's packets on in the stream of another.
 *
 * The stream keeps its SSRC, and its numbers run on. At a switch the first packet takes the next sequence number and
 * timestamp, which fixes the difference to the numbers it came with; the packets after it keep that difference. So
 * what was lost or reordered on the way in is seen as just that by the far end, and nothing else is. */
#include "core.h"

#include <string.h>

enum {
    JUMP = 8000,       /* samples off the stream's clock that no network makes: the sender has started anew */
    SEQUENCE_JUMP = 100,
};

/* After this long without a packet from the peer the leg is sent silence again. */
#define CARRIES (200 * MILLISECOND)

bool bridge_carries(const Leg *to, int64_t now)
{
    return to->peer && to->forward.based && now - to->forward.last < CARRIES;
}

static bool still_fits(const Leg *to, const RtpPacket *packet, Sequence sequence, bool is_event, int64_t now)
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
    uint32_t timestamp = packet->timestamp + forward->timestamp_offset;
    int32_t off = (int32_t)(timestamp - stream_clock(&to->out, now));
    return off > -JUMP && off < JUMP;
}

void bridge_forward(Leg *from, Leg *to, const RtpPacket *packet, Sequence sequence, int content, bool new_event,
                    int64_t now)
{
    Forward *forward = &to->forward;
    Stream *out = &to->out;
    bool is_event = content == CONTENT_EVENT;

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

    bool marker = packet->marker;
    if (!still_fits(to, packet, sequence, is_event, now)) {
        /* In the middle of a press there is no timestamp to begin with that the far end would not take for another
         * press. */
        if (sequence != SEQUENCE_NEXT || (is_event && !new_event))
            return;
        bool jumped;
        forward->timestamp_offset = stream_timestamp(out, now, &jumped) - packet->timestamp;
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
    forward->last = now;

    uint16_t number = (uint16_t)(packet->sequence + forward->sequence_offset);
    uint32_t timestamp = packet->timestamp + forward->timestamp_offset;
    uint8_t bytes[RTP_HEADER + PAYLOAD_MAX], *payload = bytes + RTP_HEADER;
    int payload_type = is_event ? to->remote.telephone_event : to->remote.payload_type;
    uint32_t samples = is_event ? get16(packet->payload + 2) : (uint32_t)packet->size;
    if (!is_event && content != to->remote.codec) {
        for (size_t i = 0; i < packet->size; i++)
            payload[i] = g711_transcoded[content][packet->payload[i]];
    } else {
        memcpy(payload, packet->payload, packet->size);
    }
    leg_send_packet(to, payload_type, marker, number, timestamp, bytes, packet->size);

    if ((int16_t)(number - out->next_sequence) >= 0)
        out->next_sequence = (uint16_t)(number + 1);
    if (!out->sent || (int32_t)(timestamp + samples - out->next_timestamp) > 0)
        out->next_timestamp = timestamp + samples;
    out->sent = true;
    if (!is_event) {
        to->samples_sent += samples;
        if (sequence == SEQUENCE_NEXT) {
            out->sent_timestamp = timestamp;
            out->sent_time = now;
        }
    }
}
