/* The table of codecs. To add one is to add its entry here, and its number in media.h. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

/* G.711 and G.722: a byte is a sample, so the payload is as long as its sound. */
static int bytewise_duration(const uint8_t *payload, size_t size)
{
    (void)payload;
    return size <= SOUND_MAX ? (int)size : 0;
}

/* G.711 ----------------------------------------------------------------------------------------------------------- */

static int decode_g711(int codec, const uint8_t *payload, size_t size, int16_t *samples)
{
    for (size_t i = 0; i < size; i++)
        samples[i] = g711_decoded[codec][payload[i]];
    return (int)size;
}

static int decode_pcmu(void *coder, const uint8_t *payload, size_t size, int16_t *samples)
{
    (void)coder;
    return decode_g711(CODEC_PCMU, payload, size, samples);
}

static int decode_pcma(void *coder, const uint8_t *payload, size_t size, int16_t *samples)
{
    (void)coder;
    return decode_g711(CODEC_PCMA, payload, size, samples);
}

static size_t encode_pcmu(void *coder, const int16_t *samples, int count, uint8_t *payload, size_t room)
{
    (void)coder;
    if ((size_t)count > room)
        return 0;
    for (int i = 0; i < count; i++)
        payload[i] = g711_encode_pcmu(samples[i]);
    return (size_t)count;
}

static size_t encode_pcma(void *coder, const int16_t *samples, int count, uint8_t *payload, size_t room)
{
    (void)coder;
    if ((size_t)count > room)
        return 0;
    for (int i = 0; i < count; i++)
        payload[i] = g711_encode_pcma(samples[i]);
    return (size_t)count;
}

/* G.722 ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    G722 encoder, decoder;
    Halfband up, down;
} Wideband;

static void restart_g722_decoder(void *coder)
{
    Wideband *wideband = coder;
    g722_start(&wideband->decoder);
    wideband->down = (Halfband){0};
}

static void restart_g722_encoder(void *coder)
{
    Wideband *wideband = coder;
    g722_start(&wideband->encoder);
    wideband->up = (Halfband){0};
}

static void *open_g722(void)
{
    void *coder = malloc(sizeof(Wideband));
    if (coder) {
        restart_g722_decoder(coder);
        restart_g722_encoder(coder);
    }
    return coder;
}

static int decode_g722(void *coder, const uint8_t *payload, size_t size, int16_t *samples)
{
    Wideband *wideband = coder;
    int16_t wide[2 * SOUND_MAX];
    g722_decode(&wideband->decoder, payload, size, wide);
    halfband_down(&wideband->down, wide, (int)size, samples);
    return (int)size;
}

static size_t encode_g722(void *coder, const int16_t *samples, int count, uint8_t *payload, size_t room)
{
    Wideband *wideband = coder;
    int16_t wide[2 * SOUND_MAX];
    if ((size_t)count > room)
        return 0;
    halfband_up(&wideband->up, samples, count, wide);
    g722_encode(&wideband->encoder, wide, (size_t)count, payload);
    return (size_t)count;
}

/* The table ------------------------------------------------------------------------------------------------------- */

static const Codec TABLE[CODECS] = {
    [CODEC_PCMU] = {.scale = 1, .duration = bytewise_duration, .decode = decode_pcmu, .encode = encode_pcmu},
    [CODEC_PCMA] = {.scale = 1, .duration = bytewise_duration, .decode = decode_pcma, .encode = encode_pcma},
    /* RFC 3551 4.5.2: its RTP clock is 8,000 Hz, by a mistake that became the standard. */
    [CODEC_G722] = {.scale = 1,
                    .duration = bytewise_duration,
                    .open = open_g722,
                    .close = free,
                    .restart_decoder = restart_g722_decoder,
                    .restart_encoder = restart_g722_encoder,
                    .decode = decode_g722,
                    .encode = encode_g722},
    /* RFC 7587 4.1: 48,000 Hz, whatever is encoded. */
    [CODEC_OPUS] = {.scale = 6,
                    .duration = opus_duration,
                    .open = opus_open,
                    .close = opus_close,
                    .restart_decoder = opus_restart_decoder,
                    .restart_encoder = opus_restart_encoder,
                    .decode = opus_decode_payload,
                    .conceal = opus_conceal,
                    .encode = opus_encode_payload},
};

const Codec *codec_at(int number)
{
    if (number < 0 || number >= CODECS || (number == CODEC_OPUS && !opus_loaded()))
        return NULL;
    return &TABLE[number];
}
