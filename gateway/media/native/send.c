/* What goes out of a leg on its turn: keys before a play, a play before what its peer or its mix says, that before
 * silence.
 *
 * One stream for the leg's life: its sequence numbers have no gap of ours, and a packet begins where the sound
 * before it ended. Only when nothing was sent for a frame or longer (held, a key's end, slots missed) does the
 * timestamp go on by the clock, as RFC 3550 5.1 wants of it, with the marker bit set. */
#include "core.h"

#include <string.h>

enum { EVENT_END = 0x80, EVENT_VOLUME = 10, EVENT_SIZE = 4, ENDS = 3 };

uint32_t stream_clock(const Stream *stream, int64_t now)
{
    return stream->sent_timestamp + (uint32_t)((now - stream->sent_time) * stream->scale / NS_PER_SAMPLE);
}

uint32_t stream_timestamp(const Stream *stream, int64_t now, bool *marker)
{
    *marker = !stream->sent;
    if (!stream->sent)
        return stream->next_timestamp;
    uint32_t clock = stream_clock(stream, now);
    if ((int32_t)(clock - stream->next_timestamp) < FRAME * stream->scale)
        return stream->next_timestamp;
    *marker = true;
    return clock;
}

void leg_send_packet(Leg *leg, int payload_type, bool marker, uint16_t sequence, uint32_t timestamp, uint8_t *packet,
                     size_t size)
{
    packet[0] = 0x80;
    packet[1] = (uint8_t)(payload_type | (marker ? 0x80 : 0));
    put16(packet + 2, sequence);
    put32(packet + 4, timestamp);
    put32(packet + 8, leg->out.ssrc);
    _Alignas(8) uint8_t sealed[SEALED_MAX];
    const uint8_t *bytes = packet;
    size_t total = RTP_HEADER + size;
    if (leg->srtp.required) {
        total = srtp_seal(&leg->srtp, false, packet, total, sealed);
        bytes = sealed;
    }
    if (!total || sendto(leg->rtp_fd, bytes, total, MSG_DONTWAIT | MSG_NOSIGNAL, &leg->destination.any,
               address_size(&leg->destination))
        < 0) {
        leg->statistics.send_errors++;
        return;
    }
    leg->statistics.packets_sent++;
    leg->statistics.bytes_sent += (int64_t)size;
}

static void send_own(Leg *leg, int payload_type, bool marker, uint32_t timestamp, uint8_t *packet, size_t size)
{
    leg->forward.based = false;
    leg_send_packet(leg, payload_type, marker, leg->out.next_sequence++, timestamp, packet, size);
}

/* Takes the payload as it is. */
static void send_payload(Leg *leg, int64_t now, uint8_t *packet, size_t size)
{
    Stream *out = &leg->out;
    bool marker;
    uint32_t timestamp = stream_timestamp(out, now, &marker);
    send_own(leg, leg->remote.payload_type, marker, timestamp, packet, size);
    out->sent = true;
    out->sent_timestamp = timestamp;
    out->sent_time = now;
    out->next_timestamp = timestamp + (uint32_t)(leg->packet_samples * out->scale);
    leg->samples_sent += leg->packet_samples;
}

static void send_encoded(Leg *leg, int64_t now, uint8_t *packet, const int16_t *samples)
{
    size_t size = leg_encode(leg, samples, leg->packet_samples, packet + RTP_HEADER, FRAME_MAX);
    if (size)
        send_payload(leg, now, packet, size);
}

/* Takes the payload as PCMU. */
static void send_sound(Leg *leg, int64_t now, uint8_t *packet)
{
    int16_t sound[FRAME_MAX];
    uint8_t *pcmu = packet + RTP_HEADER;
    int samples = leg->packet_samples;
    if (leg->remote.codec > CODEC_PCMA) {
        for (int i = 0; i < samples; i++)
            sound[i] = g711_decoded[CODEC_PCMU][pcmu[i]];
        send_encoded(leg, now, packet, sound);
        return;
    }
    if (leg->remote.codec == CODEC_PCMA)
        for (int i = 0; i < samples; i++)
            pcmu[i] = g711_transcoded[CODEC_PCMU][pcmu[i]];
    send_payload(leg, now, packet, (size_t)samples);
}

static void send_mixed(Leg *leg, int64_t now, uint8_t *packet)
{
    int16_t sound[FRAME_MAX];
    size_t size = mix_payload(leg, packet + RTP_HEADER, FRAME_MAX);
    if (size) {
        leg->encoder_behind = true;
        send_payload(leg, now, packet, size);
        return;
    }
    mix_take(leg, sound);
    send_encoded(leg, now, packet, sound);
}

static void send_silence(Leg *leg, int64_t now, uint8_t *packet)
{
    memset(packet + RTP_HEADER, PCMU_SILENCE, (size_t)leg->packet_samples);
    send_sound(leg, now, packet);
}

static void send_key(Leg *leg, int64_t now, uint8_t *packet)
{
    KeysOut *keys = &leg->keys_out;
    uint32_t samples = (uint32_t)leg->packet_samples;
    uint16_t duration = keys->durations[keys->head];
    int code = key_code(keys->waiting[keys->head]);
    bool marker = false;
    if (!keys->sounding && !keys->ends_left) {
        if (keys->gap_left) {
            keys->gap_left -= keys->gap_left < samples ? keys->gap_left : samples;
            send_silence(leg, now, packet);
            return;
        }
        keys->sounding = true;
        keys->elapsed = 0;
        if (leg->remote.telephone_event >= 0) {
            bool jumped;
            keys->timestamp = stream_timestamp(&leg->out, now, &jumped);
            leg->out.sent = true;
            leg->out.sent_timestamp = keys->timestamp;
            leg->out.sent_time = now;
            marker = true;
        }
    }
    uint32_t before = keys->elapsed;
    if (keys->sounding) {
        keys->elapsed += samples;
        if (keys->elapsed >= duration) {
            keys->elapsed = duration;
            keys->sounding = false;
            keys->ends_left = leg->remote.telephone_event >= 0 ? ENDS : 1;
            keys->gap_left = keys->gaps[keys->head];
        }
    } else {
        keys->gap_left -= keys->gap_left < samples ? keys->gap_left : samples;
    }
    if (leg->remote.telephone_event >= 0) {
        uint8_t *payload = packet + RTP_HEADER;
        payload[0] = (uint8_t)code;
        payload[1] = (uint8_t)(EVENT_VOLUME | (keys->ends_left ? EVENT_END : 0));
        uint32_t lasted = keys->elapsed * (uint32_t)leg->out.scale, segment = key_segment(lasted, leg->out.scale);
        put16(payload + 2, lasted - segment);
        leg->out.next_timestamp = keys->timestamp + lasted;
        send_own(leg, leg->remote.telephone_event, marker, keys->timestamp + segment, packet, EVENT_SIZE);
    } else {
        tone_make(code, before, packet + RTP_HEADER, samples);
        send_sound(leg, now, packet);
    }
    if (keys->ends_left && !--keys->ends_left) {
        keys->head = (keys->head + 1) % KEYS_MAX;
        keys->count--;
    }
}

void play_end(Engine *engine, Leg *leg, bool completed)
{
    if (!leg->play.active)
        return;
    leg->play.active = false;
    int64_t heard_ms = leg->play.heard / SAMPLES_PER_MS;
    event_push(engine, leg, EVENT_PLAY_ENDED, leg->play.id, heard_ms * 2 + completed);
}

static void send_play(Engine *engine, Leg *leg, int64_t now, uint8_t *packet)
{
    Play *play = &leg->play;
    size_t filled = 0, samples = (size_t)leg->packet_samples;
    while (filled < samples && play->at < play->count) {
        const Span *span = &play->spans[play->at];
        size_t some = span->size - play->offset;
        if (some > samples - filled)
            some = samples - filled;
        memcpy(packet + RTP_HEADER + filled, span->data + play->offset, some);
        filled += some;
        play->offset += some;
        if (play->offset == span->size) {
            play->offset = 0;
            if (++play->at == play->count && play->then == THEN_AGAIN)
                play->at = 0;
        }
    }
    memset(packet + RTP_HEADER + filled, PCMU_SILENCE, samples - filled);
    play->heard += (int64_t)filled;
    send_sound(leg, now, packet);
    if (play->at == play->count && play->then != THEN_WAIT)
        play_end(engine, leg, true);
}

/* Whether it is too early to play; on every turn of the leg, so that the wait does not begin with the play. */
static bool waits_for_far_end(Leg *leg)
{
    if (leg->started || leg->patience <= 0) {
        leg->patience = 0;
        return false;
    }
    leg->patience -= leg->packet_samples;
    return true;
}

void leg_send_due(Engine *engine, Leg *leg, int64_t now)
{
    uint8_t packet[RTP_HEADER + FRAME_MAX];
    if (!leg->has_remote || !leg->remote.send || !leg_may_send(leg))
        return;
    leg->waited += leg->tick;
    if (leg->waited < leg->packet_samples)
        return;
    leg->waited = 0;
    bool early = waits_for_far_end(leg);
    if (keys_out_active(&leg->keys_out))
        send_key(leg, now, packet);
    else if (leg->play.active && early)
        send_silence(leg, now, packet);
    else if (leg->play.active)
        send_play(engine, leg, now, packet);
    else if (leg->member)
        send_mixed(leg, now, packet);
    else if (!bridge_carries(leg, now) && engine->send_silence)
        send_silence(leg, now, packet);
}
