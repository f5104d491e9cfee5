/* G.711 both ways. The tables are the same as those of gateway/media/g711.py; a test compares them. */
#include "core.h"

#include <stdlib.h>

int16_t g711_decoded[2][256];
uint8_t g711_transcoded[2][256];

enum { MU_BIAS = 132, MU_CLIP = 32635 };

static int decode_pcmu(int code)
{
    code ^= 0xFF;
    int magnitude = ((((code & 15) << 3) + MU_BIAS) << (code >> 4 & 7)) - MU_BIAS;
    return code & 0x80 ? -magnitude : magnitude;
}

static int decode_pcma(int code)
{
    code ^= 0x55;
    int segment = code >> 4 & 7, lowest = ((code & 15) << 4) + 8;
    int magnitude = segment ? (lowest + 256) << (segment - 1) : lowest;
    return code & 0x80 ? magnitude : -magnitude;
}

uint8_t g711_encode_pcmu(int sample)
{
    int magnitude = abs(sample);
    if (magnitude > MU_CLIP)
        magnitude = MU_CLIP;
    magnitude += MU_BIAS;
    int segment = 0;
    while (segment < 7 && magnitude >= 256 << segment)
        segment++;
    return (uint8_t) ~(segment << 4 | (magnitude >> (segment + 3) & 15) | (sample < 0 ? 0x80 : 0));
}

uint8_t g711_encode_pcma(int sample)
{
    int magnitude = abs(sample);
    if (magnitude > 32767)
        magnitude = 32767;
    int segment = 0;
    while (segment < 7 && magnitude >= 256 << segment)
        segment++;
    int step = magnitude >> (segment ? segment + 3 : 4) & 15;
    return (uint8_t)((segment << 4 | step | (sample < 0 ? 0 : 0x80)) ^ 0x55);
}

void g711_initialise(void)
{
    for (int code = 0; code < 256; code++) {
        g711_decoded[CODEC_PCMU][code] = (int16_t)decode_pcmu(code);
        g711_decoded[CODEC_PCMA][code] = (int16_t)decode_pcma(code);
        g711_transcoded[CODEC_PCMU][code] = g711_encode_pcma(decode_pcmu(code));
        g711_transcoded[CODEC_PCMA][code] = g711_encode_pcmu(decode_pcma(code));
    }
}
