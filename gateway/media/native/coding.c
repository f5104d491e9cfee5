/* From a leg's packets to samples, and from samples to the payload of its next packet. */
#include "core.h"

enum {
    STALE = 8000,      /* samples not decoded after which what the decoder remembers is of no use */
    CONCEALED_MAX = 960, /* samples made up for packets that are lost */
};

static const Codec *codec_of(const Leg *leg, int content)
{
    return content == leg->remote.codec ? leg->codec : codec_at(content);
}

int leg_duration(const Leg *leg, const RtpPacket *packet, int content)
{
    return codec_of(leg, content)->duration(packet->payload, packet->size);
}

/* When the packet's sound begins, on a clock of samples. */
static uint32_t begins_at(Decoding *decoding, uint32_t timestamp, int scale, bool newest)
{
    if (scale == 1)
        return timestamp;
    if (!decoding->mapped) {
        decoding->mapped = true;
        decoding->timestamp = decoding->samples = timestamp;
    }
    int32_t since = rescale((int32_t)(timestamp - decoding->timestamp), scale, 1);
    uint32_t samples = decoding->samples + (uint32_t)since;
    if (newest) {
        decoding->timestamp += (uint32_t)since * (uint32_t)scale;
        decoding->samples = samples;
    }
    return samples;
}

/* Puts the decoder where it has to be for this packet. */
static void prepare(Leg *leg, const RtpPacket *packet, uint32_t at, int16_t *samples)
{
    Decoding *decoding = &leg->decoding;
    int32_t gap = (int32_t)(at - decoding->end);
    if (!decoding->running || gap < 0 || gap > STALE) {
        leg->codec->restart_decoder(leg->coder);
        return;
    }
    uint16_t lost = (uint16_t)(packet->sequence - decoding->sequence - 1);
    if (!leg->codec->conceal || !lost || !gap || gap > CONCEALED_MAX)
        return;
    int count = leg->codec->conceal(leg->coder, packet->payload, packet->size, samples, gap);
    if (leg->listener)
        listener_put(leg->listener, decoding->end, samples, count);
}

/* Coding costs a hundred times what passing a packet on does: a far end that floods us with sound is heard as fast as
 * time goes, and a second of it at once. */
static bool affordable(Decoding *decoding, int samples, int64_t now)
{
    int64_t from = decoding->paid_until > now - SECOND ? decoding->paid_until : now - SECOND;
    if (from + samples * NS_PER_SAMPLE > now)
        return false;
    decoding->paid_until = from + samples * NS_PER_SAMPLE;
    return true;
}

int leg_decode(Leg *leg, const RtpPacket *packet, Sequence sequence, int content, int64_t now,
               int16_t samples[SOUND_MAX])
{
    const Codec *codec = codec_of(leg, content);
    Decoding *decoding = &leg->decoding;
    if (!affordable(decoding, leg_duration(leg, packet, content), now)) {
        leg->statistics.ignored++;
        return 0;
    }
    /* A decoder that remembers has gone on without it. */
    if (codec->open && sequence == SEQUENCE_LATE)
        return 0;
    uint32_t at = begins_at(decoding, packet->timestamp, codec->scale, sequence == SEQUENCE_NEXT);
    if (codec->open)
        prepare(leg, packet, at, samples);
    int count = codec->decode(codec->open ? leg->coder : NULL, packet->payload, packet->size, samples);
    if (codec->open) {
        decoding->running = true;
        decoding->sequence = packet->sequence;
        decoding->end = at + (uint32_t)leg_duration(leg, packet, content);
    }
    if (!count)
        leg->statistics.malformed++;
    else if (leg->listener)
        listener_put(leg->listener, at, samples, count);
    return count;
}

size_t leg_encode(Leg *leg, const int16_t *samples, int count, uint8_t *payload, size_t room)
{
    if (leg->encoder_behind && leg->coder)
        leg->codec->restart_encoder(leg->coder);
    leg->encoder_behind = false;
    return leg->codec->encode(leg->coder, samples, count, payload, room);
}
