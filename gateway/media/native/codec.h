/* What the engine knows of a codec: one entry in the table of codec.c. Sound is samples at 8,000 Hz here too. */
#ifndef CODEC_H
#define CODEC_H

#include "media.h"

#include <stdbool.h>

enum {
    CODECS = CODEC_OPUS + 1,
    SOUND_MAX = 960, /* samples of 120 ms: no packet that we take for sound has more */
};

typedef struct {
    int scale; /* RTP timestamp units to a sample: RTP clock / 8,000 Hz */
    /* Samples in a payload, without decoding it; 0 if it is none of this codec. */
    int (*duration)(const uint8_t *payload, size_t size);
    /* What decoding and encoding remember of one leg, allocated and freed by commands; NULL where they remember
     * nothing, and are given nothing. */
    void *(*open)(void);
    void (*close)(void *coder);
    void (*restart_decoder)(void *coder);
    void (*restart_encoder)(void *coder);
    /* The samples written, at most SOUND_MAX; 0 if the payload is mangled. */
    int (*decode)(void *coder, const uint8_t *payload, size_t size, int16_t *samples);
    /* So many samples, or a few less, in place of packets that are lost, before decoding the one after them; NULL
     * where the jitter buffer does as well. */
    int (*conceal)(void *coder, const uint8_t *next, size_t size, int16_t *samples, int count);
    /* The bytes written, at most `room`; 0 if that is impossible. */
    size_t (*encode)(void *coder, const int16_t *samples, int count, uint8_t *payload, size_t room);
} Codec;

/* NULL if there is none by that number, or its library is not there. */
const Codec *codec_at(int number);

/* Between PCMU and PCMA a table is enough; between others sound is decoded and encoded. */
static inline bool codec_transcodes(int from, int to) { return from != to && (from > CODEC_PCMA || to > CODEC_PCMA); }

/* Whole units of the other clock, downwards; `units` may be negative, and wraps like every timestamp. */
static inline int32_t rescale(int32_t units, int from, int to)
{
    if (from == to)
        return units;
    return (int32_t)((uint32_t)(units / from - (units % from < 0)) * (uint32_t)to);
}

/* opus.c */
int opus_duration(const uint8_t *payload, size_t size);
bool opus_loaded(void);
void *opus_open(void);
void opus_close(void *coder);
void opus_restart_decoder(void *coder);
void opus_restart_encoder(void *coder);
int opus_decode_payload(void *coder, const uint8_t *payload, size_t size, int16_t *samples);
int opus_conceal(void *coder, const uint8_t *next, size_t size, int16_t *samples, int count);
size_t opus_encode_payload(void *coder, const int16_t *samples, int count, uint8_t *payload, size_t room);

/* g722.c: two samples at 16,000 Hz a byte */
typedef struct {
    int signal; /* predicted, as are the two parts that it is the sum of */
    int by_zeros;
    int zeros[6]; /* coefficients on the last differences */
    int poles[2]; /* and on the last reconstructed signals */
    int differences[6];
    int signals[2];
    int partial[2]; /* of these only the signs are used */
    int scale_log;
    int scale;
} G722Band;

typedef struct {
    G722Band low, high;
    int window[24];
} G722;

void g722_start(G722 *half);
void g722_encode(G722 *encoder, const int16_t *wide, size_t bytes, uint8_t *payload);
void g722_decode(G722 *decoder, const uint8_t *payload, size_t bytes, int16_t *wide);

/* halfband.c: between 8,000 and 16,000 Hz */
enum { HALFBAND = 24 }; /* samples that the filter looks at, beside the one in the middle */

typedef struct {
    int16_t before[2 * HALFBAND]; /* the last ones of the call before */
} Halfband;

void halfband_down(Halfband *filter, const int16_t *wide, int count, int16_t *samples);
void halfband_up(Halfband *filter, const int16_t *samples, int count, int16_t *wide);

#endif
